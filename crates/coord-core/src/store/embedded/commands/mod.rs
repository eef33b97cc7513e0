//! The commands, by family, and the table that finds them.

mod bits;
mod hashes;
mod keys;
mod lists;
mod members;
mod scores;
mod server;
mod strings;

use std::{collections::HashMap, sync::OnceLock};

use super::{
    db::Db,
    resp::{CommandError, CommandResult},
};

/// A command's name and arguments.
pub(super) type Args<'a> = &'a [&'a [u8]];

/// One command: its lowercase name, its arity as Redis counts it (the name included; negative: at least), its code.
pub(super) struct Spec {
    pub(super) name: &'static str,
    arity: i32,
    run: fn(&mut Db, Args<'_>) -> CommandResult,
}

const fn spec(name: &'static str, arity: i32, run: fn(&mut Db, Args<'_>) -> CommandResult) -> Spec {
    Spec { name, arity, run }
}

/// Runs one command as a script or a connection sends it.
pub(super) fn execute(db: &mut Db, args: Args<'_>) -> CommandResult {
    let name = args.first().copied().unwrap_or_default();
    let Some(index) = find(name) else {
        return Err(CommandError::owned(format!(
            "ERR Unknown Redis command called from script: '{}' is not among those that the embedded store \
             implements",
            String::from_utf8_lossy(name)
        )));
    };
    let spec = &COMMANDS[index];
    let given = i32::try_from(args.len()).unwrap_or(i32::MAX);
    let right = if spec.arity < 0 {
        -spec.arity <= given
    } else {
        spec.arity == given
    };
    if !right {
        return Err(CommandError::new(
            "ERR Wrong number of args calling Redis command from script",
        ));
    }
    db.calls[index] += 1;
    (spec.run)(db, args)
}

fn find(name: &[u8]) -> Option<usize> {
    static INDEX: OnceLock<HashMap<&'static [u8], usize>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        COMMANDS
            .iter()
            .enumerate()
            .map(|(at, spec)| (spec.name.as_bytes(), at))
            .collect()
    });
    let mut lowercase = [0; LONGEST_NAME];
    let lowercase = lowercase.get_mut(..name.len())?;
    lowercase.copy_from_slice(name);
    lowercase.make_ascii_lowercase();
    index.get(&*lowercase).copied()
}

const LONGEST_NAME: usize = 20;

/// Every command that scripts may call.
pub(super) static COMMANDS: &[Spec] = &[
    spec("type", 2, keys::type_of),
    spec("exists", -2, keys::exists),
    spec("del", -2, keys::del),
    spec("unlink", -2, keys::del),
    spec("expire", -3, keys::expire),
    spec("pexpire", -3, keys::pexpire),
    spec("expireat", -3, keys::expireat),
    spec("pexpireat", -3, keys::pexpireat),
    spec("ttl", 2, keys::ttl),
    spec("pttl", 2, keys::pttl),
    spec("persist", 2, keys::persist),
    spec("rename", 3, keys::rename),
    spec("renamenx", 3, keys::renamenx),
    spec("get", 2, strings::get),
    spec("getset", 3, strings::getset),
    spec("set", -3, strings::set),
    spec("setnx", 3, strings::setnx),
    spec("mget", -2, strings::mget),
    spec("mset", -3, strings::mset),
    spec("incr", 2, strings::incr),
    spec("incrby", 3, strings::incrby),
    spec("decr", 2, strings::decr),
    spec("setrange", 4, strings::setrange),
    spec("getrange", 4, strings::getrange),
    spec("strlen", 2, strings::strlen),
    spec("append", 3, strings::append),
    spec("setbit", 4, bits::setbit),
    spec("getbit", 3, bits::getbit),
    spec("bitcount", -2, bits::bitcount),
    spec("bitpos", -3, bits::bitpos),
    spec("hget", 3, hashes::hget),
    spec("hset", -4, hashes::hset),
    spec("hmset", -4, hashes::hmset),
    spec("hsetnx", 4, hashes::hsetnx),
    spec("hmget", -3, hashes::hmget),
    spec("hgetall", 2, hashes::hgetall),
    spec("hkeys", 2, hashes::hkeys),
    spec("hvals", 2, hashes::hvals),
    spec("hdel", -3, hashes::hdel),
    spec("hexists", 3, hashes::hexists),
    spec("hlen", 2, hashes::hlen),
    spec("hscan", -3, hashes::hscan),
    spec("hincrby", 4, hashes::hincrby),
    spec("lpush", -3, lists::lpush),
    spec("rpush", -3, lists::rpush),
    spec("lpop", -2, lists::lpop),
    spec("rpop", -2, lists::rpop),
    spec("llen", 2, lists::llen),
    spec("lrange", 4, lists::lrange),
    spec("lindex", 3, lists::lindex),
    spec("sadd", -3, members::sadd),
    spec("srem", -3, members::srem),
    spec("sismember", 3, members::sismember),
    spec("scard", 2, members::scard),
    spec("smembers", 2, members::smembers),
    spec("spop", -2, members::spop),
    spec("srandmember", -2, members::srandmember),
    spec("sunionstore", -3, members::sunionstore),
    spec("smove", 4, members::smove),
    spec("zadd", -4, scores::zadd),
    spec("zincrby", 4, scores::zincrby),
    spec("zrem", -3, scores::zrem),
    spec("zscore", 3, scores::zscore),
    spec("zcard", 2, scores::zcard),
    spec("zcount", 4, scores::zcount),
    spec("zrank", 3, scores::zrank),
    spec("zrevrank", 3, scores::zrevrank),
    spec("zpopmin", -2, scores::zpopmin),
    spec("zpopmax", -2, scores::zpopmax),
    spec("zrange", -4, scores::zrange),
    spec("zrevrange", -4, scores::zrevrange),
    spec("zrangebyscore", -4, scores::zrangebyscore),
    spec("zrevrangebyscore", -4, scores::zrevrangebyscore),
    spec("time", 1, server::time),
    spec("info", -1, server::info),
    spec("ping", -1, server::ping),
    spec("echo", 2, server::echo),
    spec("publish", 3, server::publish),
];

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::{super::resp::Resp, *};

    /// Runs a command whose arguments are split at blanks; an error comes as its text.
    pub(in super::super) fn run(db: &mut Db, line: &str) -> Result<Resp, String> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        execute(db, &args).map_err(|error| error.text().to_owned())
    }

    /// Runs every line and compares the answers, printed shortly.
    #[track_caller]
    pub(in super::super) fn check(lines: &[(&str, &str)]) {
        let mut db = Db::new(1);
        db.begin(std::time::Duration::from_secs(1_000));
        for (line, expected) in lines {
            let answer = match run(&mut db, line) {
                Ok(resp) => print(&resp),
                Err(error) => format!("!{error}"),
            };
            assert_eq!(&answer, expected, "{line}");
        }
    }

    fn print(resp: &Resp) -> String {
        match resp {
            Resp::Nil => "nil".to_owned(),
            Resp::Int(value) => value.to_string(),
            Resp::Bulk(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Resp::Status(status) => (*status).to_owned(),
            Resp::Array(items) => {
                let items: Vec<_> = items.iter().map(print).collect();
                format!("[{}]", items.join(" "))
            }
        }
    }

    #[test]
    fn names_fit_and_unknown_ones_are_named() {
        assert!(COMMANDS.iter().all(|spec| spec.name.len() <= LONGEST_NAME));
        let mut db = Db::new(1);
        let error = run(&mut db, "FLUSHALL").unwrap_err();
        assert!(error.contains("'FLUSHALL'"), "{error}");
        assert!(run(&mut db, &"x".repeat(50)).is_err());
        assert!(run(&mut db, "GET").unwrap_err().contains("Wrong number"));
    }
}
