//! The arguments of a command, one after the other.

use super::Task;

/// The arguments not yet looked at.
pub(super) struct Rest<'a>(std::slice::Iter<'a, String>);

impl<'a> Rest<'a> {
    pub(super) fn new(arguments: &'a [String]) -> Self {
        Self(arguments.iter())
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    /// What is given to a program as it is, which knows its options.
    pub(super) fn all(&mut self) -> Vec<String> {
        self.0.by_ref().cloned().collect()
    }

    pub(super) fn value(&mut self, option: &str, what: &str) -> Result<&'a str, String> {
        self.next()
            .filter(|value| !value.starts_with("--"))
            .ok_or_else(|| format!("{option} needs {what}"))
    }

    pub(super) fn number(&mut self, option: &str) -> Result<u64, String> {
        let value = self.value(option, "a number")?;
        value.parse().map_err(|_| {
            format!(
                "{option} needs a number from 0 to {}, not {value}",
                u64::MAX
            )
        })
    }

    pub(super) fn at_least_one(&mut self, option: &str) -> Result<u64, String> {
        match self.number(option)? {
            0 => Err(format!("{option} 0 would run nothing; at least 1")),
            number => Ok(number),
        }
    }

    pub(super) fn one_of(&mut self, option: &str, known: &[&str]) -> Result<String, String> {
        let known_ones = known.join(" or ");
        let value = self.value(option, &known_ones)?;
        if !known.contains(&value) {
            return Err(format!("{option} needs {known_ones}, not {value}"));
        }
        Ok(value.to_owned())
    }

    /// Numbers with commas between them.
    pub(super) fn steps(&mut self, option: &str) -> Result<String, String> {
        let value = self.value(option, "steps")?;
        let is_step = |part: &str| part.parse::<usize>().is_ok();
        if !value.split(',').all(is_step) {
            return Err(format!("{option} needs steps such as 3,7,9, not {value}"));
        }
        Ok(value.to_owned())
    }

    pub(super) fn end(&mut self, task: Task) -> Result<Task, String> {
        match self.next() {
            Some(argument) => Err(unknown(argument)),
            None => Ok(task),
        }
    }
}

pub(super) fn unknown(argument: &str) -> String {
    format!("unknown argument: {argument}")
}
