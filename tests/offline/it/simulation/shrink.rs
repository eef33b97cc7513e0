//! Makes a failing plan shorter.

use super::{mutants::Mutant, plan::Plan, search::run};

/// A plan that fails like the one that it was made from, of which no step can be left out; and what goes wrong.
pub(super) fn shrink(plan: &Plan, mutant: Mutant) -> (Plan, String) {
    let mut shrinking = Shrinking {
        mutant,
        runs: 0,
        violation: String::new(),
    };
    let mut shortest = plan.clone();
    let mut size = shortest.steps.len().max(1);
    loop {
        let before = shortest.steps.len();
        shortest = shrinking.without_parts(shortest, size);
        if size == 1 && shortest.steps.len() == before {
            break;
        }
        size = (size / 2).max(1);
    }
    shortest = shrinking.without_pairs(shortest);
    if shrinking.violation.is_empty() {
        shrinking.fails(&shortest);
    }
    (shortest, shrinking.violation)
}

struct Shrinking {
    mutant: Mutant,
    runs: u32,
    violation: String,
}

impl Shrinking {
    /// Leaves out parts of `size` steps, the last ones first, as long as what is left fails.
    fn without_parts(&mut self, mut plan: Plan, size: usize) -> Plan {
        let mut end = plan.steps.len();
        while 0 < end {
            let start = end.saturating_sub(size);
            let mut shorter = plan.clone();
            shorter.steps.drain(start..end);
            if self.fails(&shorter) {
                plan = shorter;
            }
            end = start;
        }
        plan
    }

    /// Leaves out any two steps, where neither can go without the other.
    fn without_pairs(&mut self, mut plan: Plan) -> Plan {
        let mut first = 0;
        while first < plan.steps.len() {
            let seconds = first + 1..plan.steps.len();
            let shorter = seconds.rev().find_map(|second| {
                let mut shorter = plan.clone();
                shorter.steps.remove(second);
                shorter.steps.remove(first);
                self.fails(&shorter).then_some(shorter)
            });
            match shorter {
                // What could not go before may go now.
                Some(shorter) => (plan, first) = (self.without_parts(shorter, 1), 0),
                None => first += 1,
            }
        }
        plan
    }

    fn fails(&mut self, plan: &Plan) -> bool {
        if self.runs == Self::MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let violation = run(plan, self.mutant, false).violation;
        let fails = violation.is_some();
        if let Some(violation) = violation {
            self.violation = violation;
        }
        fails
    }

    const MOST_RUNS: u32 = 1_500;
}
