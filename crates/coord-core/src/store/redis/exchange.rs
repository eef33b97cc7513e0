//! Commands over one connection: EVALSHA for all; where the server does not know a script, EVAL.

use redis::aio::ConnectionLike;

use super::{permission, reply};
use crate::store::{Command, Reply, StoreError};

pub(super) type Outcome = Result<Reply, StoreError>;

/// Sends `commands` in one write. Where `asking`, each is preceded by ASKING, as a node wants it that is still taking
/// their hash slot over.
pub(super) async fn exchange(
    connection: &mut impl ConnectionLike,
    address: &str,
    commands: &[&Command],
    asking: bool,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = send(connection, address, commands, asking, false).await?;
    let unknown: Vec<usize> = (0..outcomes.len())
        .filter(|&index| reply::is_unknown_script(&outcomes[index]))
        .collect();
    if unknown.is_empty() {
        return Ok(outcomes);
    }
    let again: Vec<&Command> = unknown.iter().map(|&index| commands[index]).collect();
    let answers = send(connection, address, &again, asking, true).await?;
    for (index, answer) in unknown.into_iter().zip(answers) {
        outcomes[index] = answer;
    }
    Ok(outcomes)
}

async fn send(
    connection: &mut impl ConnectionLike,
    address: &str,
    commands: &[&Command],
    asking: bool,
    with_source: bool,
) -> Result<Vec<Outcome>, StoreError> {
    let mut pipeline = redis::Pipeline::with_capacity(commands.len());
    let mut by_source = sources(with_source);
    for command in commands {
        if asking {
            pipeline.add_command(redis::cmd("ASKING"));
        }
        pipeline.add_command(packed(command, &mut by_source));
    }
    let operation = operation(commands);
    let count = commands.len() * if asking { 2 } else { 1 };
    let values = connection
        .req_packed_commands(&pipeline, 0, count)
        .await
        .map_err(|error| reply::classify(operation, address, error))?;
    let answers = values.into_iter().skip(usize::from(asking));
    let answers = answers.step_by(if asking { 2 } else { 1 });
    Ok(commands
        .iter()
        .zip(answers)
        .map(|(command, value)| {
            reply::convert(command.name(), address, value)
                .map_err(|error| permission::explain(command, error))
        })
        .collect())
}

/// Says for a script's digest whether its whole text is to be sent: the first time, where `with_source`.
pub(super) fn sources<'a>(with_source: bool) -> impl FnMut(&'a str) -> bool {
    let mut sent: Vec<&str> = Vec::new();
    move |sha| {
        let by_source = with_source && !sent.contains(&sha);
        if by_source {
            sent.push(sha);
        }
        by_source
    }
}

/// `by_source` says for a script's digest whether its whole text is to be sent.
pub(super) fn packed<'a>(
    command: &'a Command,
    by_source: impl FnOnce(&'a str) -> bool,
) -> redis::Cmd {
    match command {
        Command::Eval { script, keys, args } => {
            let mut packed = if by_source(script.sha()) {
                redis::cmd("EVAL").arg(script.source()).to_owned()
            } else {
                redis::cmd("EVALSHA").arg(script.sha()).to_owned()
            };
            packed.arg(keys.len()).arg(keys).arg(args);
            packed
        }
        Command::Publish { channel, payload } => {
            redis::cmd("PUBLISH").arg(channel).arg(payload).to_owned()
        }
    }
}

/// What errors call a pipeline.
pub(super) fn operation(commands: &[&Command]) -> &'static str {
    commands
        .first()
        .map_or("pipeline", |command| command.name())
}
