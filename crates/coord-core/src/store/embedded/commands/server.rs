//! Time, identity and messages.

use super::{
    super::{
        db::Db,
        resp::{CommandError, CommandResult, Resp},
    },
    Args,
};

pub(super) fn time(db: &mut Db, _args: Args<'_>) -> CommandResult {
    let now = db.now();
    Ok(Resp::Array(vec![
        Resp::bulk(now.as_secs().to_string()),
        Resp::bulk(now.subsec_micros().to_string()),
    ]))
}

pub(super) fn info(db: &mut Db, args: Args<'_>) -> CommandResult {
    if db.info_forbidden {
        let refusal = "NOPERM this user has no permissions to run the 'info' command";
        return Err(CommandError::new(refusal));
    }
    Ok(Resp::bulk(db.server.info(db.now(), &args[1..])))
}

pub(super) fn ping(_db: &mut Db, args: Args<'_>) -> CommandResult {
    match args {
        [_] => Ok(Resp::Status("PONG")),
        [_, message] => Ok(Resp::bulk(*message)),
        _ => Err(CommandError::arity("ping")),
    }
}

pub(super) fn echo(_db: &mut Db, args: Args<'_>) -> CommandResult {
    Ok(Resp::bulk(args[1]))
}

pub(super) fn publish(db: &mut Db, args: Args<'_>) -> CommandResult {
    Ok(Resp::count(db.channels.publish(args[1], args[2])))
}
