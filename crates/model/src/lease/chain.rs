//! How a holder is told from its clone, and a rewound record from a current one: the chain of `slots.lua`.

use super::rules::Rules;

/// The number of a request, then the last one that was answered, then those whose answer is missing; 0 is none.
pub(crate) type Chain = [u8; 4];

/// Two processes renewed.
pub(crate) const BROKEN: Chain = [u8::MAX, 0, 0, 0];

/// How a chain continues the one on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Next,
    Late,
    Rewound,
    Cloned,
}

/// The number of a process' request: what stands for the randomness of that moment is who sent it.
pub(crate) fn number(count: u8, process: usize) -> u8 {
    count * 4 + u8::try_from(process).expect("few processes")
}

/// `chain_step` in `slots.lua`.
pub(crate) fn step(record: Chain, named: Chain, rules: &Rules) -> Step {
    let head = record[0];
    if record == BROKEN {
        return Step::Cloned;
    }
    if head == 0 || !rules.chain || named.contains(&head) {
        return Step::Next;
    }
    if record.contains(&named[0]) {
        return Step::Late;
    }
    if rules.chain_count && is_older(record, named[1]) {
        return Step::Rewound;
    }
    Step::Cloned
}

/// Whether the record was written before the request `answered`.
pub(crate) fn is_older(record: Chain, answered: u8) -> bool {
    record != BROKEN && record[0] / 4 < answered / 4
}
