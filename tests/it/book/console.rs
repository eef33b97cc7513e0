//! Types a chapter's commands into one shell.

mod machine;

use std::time::Duration;

use self::machine::Machine;
use super::{blocks::Block, expected};

/// A line that begins with `$ `, and what the chapter shows after it.
struct Step<'a> {
    line: usize,
    command: String,
    shown: Vec<&'a str>,
}

/// Types all commands of a chapter into one shell, on a machine of its own with a server of its own.
///
/// A command has to succeed, unless the next one is `echo $?`, and has to print what is shown, no more and no less.
pub(super) fn run(chapter: &str, blocks: &[&Block]) {
    let steps: Vec<Step<'_>> = blocks.iter().flat_map(|block| steps(block)).collect();
    if steps.is_empty() {
        return;
    }
    let does = |what: &str| steps.iter().any(|step| step.command.starts_with(what));
    let machine = Machine::new(does("redis-server"), does("cargo install"));
    let outputs = machine.type_in(&script(&steps), LIMIT);
    let mut outputs = outputs.iter();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{chapter}:{}: $ {}", step.line, step.command);
        let Some(output) = outputs.next() else {
            panic!(
                "{place}\nnever came to its end: the shell ended before it, or took longer than {LIMIT:?}"
            );
        };
        let is_asked_for_its_code = steps
            .get(index + 1)
            .is_some_and(|next| next.command.trim() == "echo $?");
        assert!(
            output.code == 0 || is_asked_for_its_code,
            "{place}\nended with code {}:\n{}",
            output.code,
            output.text
        );
        let actual: Vec<&str> = output.text.lines().collect();
        assert!(
            expected::matches(&step.shown, &actual),
            "{place}\nprinted:\n{}\n\nthe chapter shows:\n{}\n",
            output.text,
            step.shown.join("\n")
        );
    }
}

fn steps<'a>(block: &'a Block) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut goes_on = false;
    for (index, text) in block.text.lines().enumerate() {
        let line = block.line + 1 + index;
        if goes_on {
            let step = steps.last_mut().expect("something goes on");
            step.command.push('\n');
            step.command.push_str(text.trim_start_matches("> "));
            goes_on = text.ends_with('\\');
        } else if let Some(command) = text.strip_prefix("$ ") {
            let command = command.to_owned();
            goes_on = command.ends_with('\\');
            steps.push(Step {
                line,
                command,
                shown: Vec::new(),
            });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| {
                panic!("line {line}: a console block begins with a command, after `$ `")
            });
            step.shown.push(text);
        }
    }
    steps
}

/// All commands, each followed by a line that tells its code. A server that was just started is waited for.
fn script(steps: &[Step<'_>]) -> String {
    let mut script = String::from("exec 2>&1\n");
    for step in steps {
        script.push_str(&step.command);
        script.push_str("\ncode=$?\n");
        if step.command.starts_with("redis-server") {
            script.push_str(machine::WAIT_FOR_SERVER);
        }
        script.push_str(&format!(
            "printf '\\n{} %d\\n' \"$code\"\n(exit \"$code\")\n",
            machine::MARK
        ));
    }
    script
}

const LIMIT: Duration = Duration::from_secs(300);
