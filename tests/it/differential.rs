//! The embedded store answers like a real server: random commands through several kinds of script, on both.

mod commands;

use std::{cell::RefCell, sync::Arc, time::Duration};

use coord_core::{
    clock::SystemClock,
    store::{Command, Reply, Script, Store, StoreError, embedded::Embedded},
};
use coord_tests::server::RedisServer;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

/// What a script answered: a reply, or the code of the error.
type Answer = Result<Reply, String>;

static CALL: Script = Script::new("call", &["return redis.call(unpack(ARGV))"]);
static PCALL: Script = Script::new(
    "pcall",
    &["local r = redis.pcall(unpack(ARGV))
       if type(r) == 'table' and r.err then return {'error', (string.match(r.err, '^%S+'))} end
       return r"],
);
static PROTECTED: Script = Script::new(
    "protected",
    &["local ok, r = pcall(redis.call, unpack(ARGV))
       if not ok then return {type(r), (string.match(r, '^%S+'))} end
       return r"],
);
static KIND: Script = Script::new(
    "kind",
    &["local r = redis.call(unpack(ARGV))
       return {type(r), type(r) == 'table' and (r.ok or #r) or tostring(r)}"],
);
static NUMBERS: Script = Script::new(
    "numbers",
    &[
        "local args = {} for i, arg in ipairs(ARGV) do args[i] = tonumber(arg) or arg end
       return redis.call(unpack(args))",
    ],
);
static SCRIPTS: [&Script; 5] = [&CALL, &PCALL, &PROTECTED, &KIND, &NUMBERS];

#[test]
fn random_commands_answer_as_on_a_real_server() {
    let pair = RefCell::new(Pair::start());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let sequences = prop::collection::vec((0..SCRIPTS.len(), commands::command()), 1..60);
    runner
        .run(&sequences, |sequence| {
            pair_check(&mut pair.borrow_mut(), &sequence)
        })
        .unwrap();
}

fn pair_check(pair: &mut Pair, sequence: &[(usize, Vec<String>)]) -> Result<(), TestCaseError> {
    pair.clear();
    for (script, args) in sequence {
        pair.check(SCRIPTS[*script], args)?;
    }
    for key in commands::KEYS {
        for read in [
            &["TYPE", key][..],
            &["GET", key],
            &["HGETALL", key],
            &["LRANGE", key, "0", "-1"],
            &["SMEMBERS", key],
            &["ZRANGE", key, "0", "-1", "WITHSCORES"],
            &["PTTL", key],
        ] {
            let args: Vec<String> = read.iter().map(|&arg| arg.to_owned()).collect();
            pair.check(&CALL, &args)?;
        }
    }
    Ok(())
}

#[test]
fn lua_itself_answers_as_on_a_real_server() {
    let mut pair = Pair::start();
    for source in LUA {
        let parts: &'static [&'static str] = Vec::leak(vec![*source]);
        let script: &'static Script = Box::leak(Box::new(Script::new("lua", parts)));
        pair.check(script, &["one".to_owned(), "2".to_owned()])
            .unwrap();
    }
}

const LUA: &[&str] = &[
    "return {1.9, -1.9, 'x', true, false, {}, {1, nil, 2}}",
    "return {1e15, 2^53, -2^53, 1e300, 1/0, -1/0}",
    "return {ok = 'fine'}",
    "return {err = 'MY fault'}",
    "return redis.error_reply('MY fault')",
    "return redis.error_reply('-MY fault')",
    "return redis.error_reply('fault')",
    "return redis.error_reply(1)",
    "return redis.status_reply('fine')",
    "error('boom')",
    "error({err = 'MY fault'})",
    "return foo",
    "foo = 1",
    "redis.x = 1",
    "string.x = 1",
    "return syntax error",
    "return {pcall(function() return os end)}",
    "return {pcall(error, {err = 'MY fault'})}",
    "return {pcall(error, 'text')}",
    "return {redis.pcall('ECHO', {}).err}",
    "return {redis.pcall('ECHO', true).err}",
    "return {redis.pcall().err}",
    "return redis.call('ECHO', nil)",
    "local r = {} for _, n in ipairs({1e14, 1e15, 1e16, 1e17, 123456789012345, 0.1, 1/3, 1e-5, 1e-4, 2^63, -2^63, \
     1/0, 100000000000000000, -12345.678}) do r[#r + 1] = redis.call('ECHO', n) end return r",
    "local r = {} for _, n in ipairs({1e14, 1e15, 0.1, 1/3, 2^53}) do r[#r + 1] = tostring(n) end return r",
    "return {tostring(KEYS[1]), #KEYS, #ARGV, ARGV[1], ARGV[2], type(ARGV[2]), ARGV[1]:upper()}",
    "return {math.random(1000), math.random(5, 9), math.random(1000), math.floor(math.random() * 1e6)}",
    "math.randomseed(42) return {math.random(1000), math.random(1000)}",
    "return {redis.sha1hex(''), redis.sha1hex('abc')}",
    "return {bit.band(12, 10), bit.bor(12, 10, 1), bit.bxor(12, 10), bit.bnot(0), bit.tobit(2^32 + 5), \
     bit.tobit(2^31), bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-8, 1), bit.rol(1, 33), bit.ror(1, 1), \
     bit.bswap(1), bit.tohex(255), bit.tohex(255, 2), bit.tohex(255, -4)}",
    "return struct.pack('>I4<I4>I2<h', 1, 2, 65535, -3)",
    "return {struct.unpack('>I4<I4>H<h', struct.pack('>I4<I4>I2<h', 1, 2, 65535, -3))}",
    "return {struct.unpack('>I8<i8<L>l', struct.pack('>I8<i8<L>l', 2^53, -5, 2^40, -2^40))}",
    "return {struct.unpack('<I3Bc0sxB', struct.pack('<I3Bc0sxB', 70000, 3, 'abc', 'tail', 9))}",
    "return {struct.size('>I4I8b'), struct.size('!8bI8'), struct.size('!4bI8h')}",
    "return struct.pack('!4bI8h', 1, 2, 3)",
    "return {struct.unpack('>I4', struct.pack('>I4I4', 7, 8), 5)}",
    "return struct.unpack('>I4', 'abc')",
    "return struct.pack('>I4', -1)",
    "return tostring(struct.unpack('<d', struct.pack('<d', 0.5)))",
    "return {type(redis.call('TIME')), #redis.call('TIME'), type(redis.call('INFO', 'server'))}",
    "return {redis.call('PING'), redis.call('PING', 'x'), redis.call('PUBLISH', 'nobody', 'x')}",
    "redis.call('SET', 'k', '\\0\\255') return {redis.call('STRLEN', 'k'), redis.call('GET', 'k')}",
    "redis.call('SET', 'kept', 1) error('late')",
    "return redis.call('GET', 'kept')",
    "redis.log(redis.LOG_WARNING, 'note') return 1",
    "return redis.call('NOSUCHCOMMAND')",
    "return string.match(redis.call('INFO', 'replication'), 'role:(%a+)')",
    "return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:(%a+)')",
    "return #string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')",
    "return redis.call('INFO', 'nonsense')",
];

/// Both stores.
struct Pair {
    runtime: tokio::runtime::Runtime,
    embedded: Embedded,
    connection: redis::Connection,
    _server: RedisServer,
}

impl Pair {
    fn start() -> Self {
        let server = RedisServer::start().expect("redis-server starts");
        let connection = server.connection().expect("connects");
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            embedded: Embedded::with_seed(Arc::new(SystemClock), 1),
            connection,
            _server: server,
        }
    }

    fn clear(&mut self) {
        self.embedded.flush_all();
        redis::cmd("FLUSHALL")
            .exec(&mut self.connection)
            .expect("the server answers FLUSHALL");
    }

    fn check(&mut self, script: &'static Script, args: &[String]) -> Result<(), TestCaseError> {
        let embedded = normalized(args, self.on_embedded(script, args));
        let real = normalized(args, self.on_real(script, args));
        prop_assert_eq!(
            embedded,
            real,
            "embedded, real: {:?}\n{}",
            args,
            script.source()
        );
        Ok(())
    }

    fn on_embedded(&self, script: &'static Script, args: &[String]) -> Answer {
        let command = Command::Eval {
            script,
            keys: Vec::new(),
            args: args.to_vec(),
        };
        let store = self.embedded.client();
        let replies = store.pipeline(std::slice::from_ref(&command), Duration::from_secs(5));
        match self.runtime.block_on(replies).remove(0) {
            Ok(reply) => Ok(reply),
            Err(StoreError::Refused { code, .. }) => Err(code),
            Err(error) => panic!("{error}"),
        }
    }

    fn on_real(&mut self, script: &Script, args: &[String]) -> Answer {
        let value: redis::RedisResult<redis::Value> = redis::cmd("EVAL")
            .arg(script.source())
            .arg(0)
            .arg(args)
            .query(&mut self.connection);
        match value {
            Ok(value) => Ok(reply(value)),
            Err(error) => Err(error.code().unwrap_or("without a code").to_owned()),
        }
    }
}

fn reply(value: redis::Value) -> Reply {
    match value {
        redis::Value::Nil => Reply::Nil,
        redis::Value::Int(value) => Reply::Int(value),
        redis::Value::BulkString(bytes) => Reply::Bytes(bytes),
        redis::Value::SimpleString(text) => Reply::Bytes(text.into_bytes()),
        redis::Value::Okay => Reply::Bytes(b"OK".to_vec()),
        redis::Value::Array(items) => Reply::Array(items.into_iter().map(reply).collect()),
        other => panic!("a RESP2 server answered {other:?}"),
    }
}

/// Hides what may differ: the order of hashes and sets, and how much of a lifetime has passed.
fn normalized(args: &[String], answer: Answer) -> Answer {
    let width = match args.first().map(String::as_str) {
        Some("HGETALL") => 2,
        Some("HKEYS" | "HVALS" | "SMEMBERS" | "SPOP" | "SRANDMEMBER") => 1,
        Some("PTTL" | "TTL") => {
            return answer.map(|reply| match reply {
                Reply::Int(1..) => Reply::Int(1),
                Reply::Array(items) if items.len() == 2 => {
                    Reply::Array(items.into_iter().map(positive_to_one).collect())
                }
                reply => reply,
            });
        }
        _ => return answer,
    };
    answer.map(|reply| match reply {
        Reply::Array(items) => {
            let mut groups: Vec<_> = items
                .chunks(width)
                .map(|group| format!("{group:?}"))
                .collect();
            groups.sort_unstable();
            Reply::Bytes(groups.concat().into_bytes())
        }
        reply => reply,
    })
}

fn positive_to_one(reply: Reply) -> Reply {
    match reply.as_u64() {
        Some(1..) => Reply::Int(1),
        _ => reply,
    }
}
