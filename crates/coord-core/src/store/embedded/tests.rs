//! Scripts, conversions and faults through the public interface.

mod confirming;

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    clock::TokioClock,
    store::{Command, Script, Store},
};

const WITHIN: Duration = Duration::from_millis(500);

fn engine() -> Embedded {
    let clock = TokioClock::new(Duration::from_secs(1_700_000_000));
    Embedded::with_seed(Arc::new(clock), 7)
}

fn script(source: &'static str) -> &'static Script {
    let parts: &'static [&'static str] = Vec::leak(vec![source]);
    Box::leak(Box::new(Script::new("test", parts)))
}

fn eval(source: &'static str, keys: &[&str], args: &[&str]) -> Vec<Command> {
    let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
    vec![Command::Eval {
        script: script(source),
        keys: owned(keys),
        args: owned(args),
    }]
}

async fn run(store: &EmbeddedStore, source: &'static str) -> Result<Reply, StoreError> {
    let commands = eval(source, &["k1", "k2"], &["a1", "a2"]);
    store.pipeline(&commands, WITHIN).await.remove(0)
}

/// Runs a script on an empty engine; an error is shown as its code and detail.
#[track_caller]
fn check(source: &'static str, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let shown = match runtime.block_on(run(&engine().client(), source)) {
        Ok(reply) => show(&reply),
        Err(StoreError::Refused { code, detail, .. }) => format!("!{code} {detail}"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(shown, expected, "{source}");
}

fn show(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::Int(value) => value.to_string(),
        Reply::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Reply::Array(items) => {
            let items: Vec<_> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
    }
}

#[test]
fn lua_values_become_replies() {
    check(
        "return {1.9, -1.9, 'x', true, false, {}}",
        "[1 -1 \"x\" 1 nil []]",
    );
    check("return {1, 2, nil, 4}", "[1 2]");
    check("return 1e300", "-9223372036854775808");
    check("return nil", "nil");
    check("return redis.status_reply('FOO')", "\"FOO\"");
    check("return {KEYS[1], ARGV[2], #KEYS}", "[\"k1\" \"a2\" 2]");
    check("return '\\0\\255' == string.char(0, 255)", "1");
}

#[test]
fn numbers_become_arguments() {
    check("return redis.call('ECHO', 1e15)", "\"1000000000000000\"");
    check("return redis.call('ECHO', 2^53)", "\"9007199254740992\"");
    check("return redis.call('ECHO', 1e17)", "\"1e+17\"");
    check("return redis.call('ECHO', 0.1)", "\"0.10000000000000001\"");
    check("return redis.call('ECHO', 1/0)", "\"inf\"");
}

#[test]
fn commands_become_lua_values() {
    check("return redis.call('GET', 'none') == false", "1");
    check("return redis.call('SET', 'a', 1).ok", "\"OK\"");
    check("return redis.call('TYPE', 'a')['ok']", "\"none\"");
    check("return type(redis.call('EXISTS', 'a'))", "\"number\"");
    check("return redis.call('MGET', 'a', 'b')", "[nil nil]");
    check("return #redis.call('TIME')", "2");
    check("return redis.call('TIME')[1]", "\"1700000000\"");
}

#[test]
fn errors_are_raised_by_call_and_returned_by_pcall() {
    check(
        "redis.call('SET', 'a', 1) return redis.call('HGET', 'a', 'f')",
        "!WRONGTYPE Operation against a key holding the wrong kind of value script: test",
    );
    check(
        "redis.call('SET', 'a', 1) local r = redis.pcall('HGET', 'a', 'f') return {type(r), r.err ~= nil}",
        "[\"table\" 1]",
    );
    check(
        "local ok, e = pcall(redis.call, 'INCRBY', 'a', 'x') return {ok, e}",
        "[nil \"ERR value is not an integer or out of range\"]",
    );
    check(
        "return redis.error_reply('My error')",
        "!My error script: test",
    );
    check(
        "return redis.error_reply('Alone')",
        "!ERR Alone script: test",
    );
    check("error('boom')", "!ERR user_script:1: boom script: test");
    check("error({err='MY boom'})", "!MY boom script: test");
    check(
        "return redis.call('ECHO', {})",
        "!ERR Lua redis lib command arguments must be strings or integers script: test",
    );
    check(
        "return redis.pcall('NOSUCH').err",
        "\"ERR Unknown Redis command called from script: 'NOSUCH' is not among those that the embedded store implements\"",
    );
}

#[test]
fn the_sandbox_is_closed() {
    check(
        "return foo",
        "!ERR user_script:1: Script attempted to access nonexistent global variable 'foo' script: test",
    );
    for write in [
        "foo = 1",
        "redis.call = nil",
        "string.x = 1",
        "KEYS = {}",
        "_G.x = 1",
    ] {
        check(
            write,
            "!ERR user_script:1: Attempt to modify a readonly table script: test",
        );
    }
    for name in ["os", "io", "require", "loadstring", "dofile", "print"] {
        let source: &'static str =
            String::leak(format!("return {{pcall(function() return {name} end)}}"));
        check(
            source,
            &format!(
                "[nil \"user_script:1: Script attempted to access nonexistent global variable '{name}'\"]"
            ),
        );
    }
}

#[test]
fn libraries_answer_as_those_of_redis() {
    check("return math.random(1000)", "397");
    check(
        "return redis.sha1hex('')",
        "\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"",
    );
    check(
        "return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10), bit.bnot(0)}",
        "[8 14 6 -1]",
    );
    check(
        "return {bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-8, 1), bit.tohex(255)}",
        "[-2147483648 15 -4 \"000000ff\"]",
    );
    check(
        "return {struct.size('>I4I8'), struct.pack('>I4', 258), struct.pack('<I2', 258)}",
        "[12 \"\\0\\0\\u{1}\\u{2}\" \"\\u{2}\\u{1}\"]",
    );
    check(
        "return {struct.unpack('>I4<i2', struct.pack('>I4<i2', 4294967295, -2))}",
        "[4294967295 -2 7]",
    );
    check(
        "return {struct.unpack('>I8I8', struct.pack('>I8I8', 2^53, 1), 9)}",
        "!ERR runtime error: data string too short script: test",
    );
    check(
        "return {struct.unpack('>I8', struct.pack('>I8I8', 2^53, 7), 9)}",
        "[7 17]",
    );
    check(
        "return {struct.unpack('Bc0s', struct.pack('Bc0s', 3, 'abc', 'de'))}",
        "[\"abc\" \"de\" 8]",
    );
    check("local ok, e = pcall(struct.pack, 'q') return ok", "nil");
}

#[tokio::test]
async fn a_script_that_fails_keeps_what_it_wrote() {
    let engine = engine();
    let failed = run(&engine.client(), "redis.call('SET', 'a', 1) error('late')").await;
    assert!(
        matches!(failed, Err(StoreError::Refused { .. })),
        "{failed:?}"
    );
    assert_eq!(engine.get("a"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn an_endless_script_is_ended() {
    let ended = run(&engine().client(), "while true do end").await;
    assert!(ended.unwrap_err().to_string().contains("instructions"));
}

#[tokio::test(start_paused = true)]
async fn keys_expire_by_the_injected_clock() {
    let engine = engine();
    run(
        &engine.client(),
        "return redis.call('SET', 'a', 1, 'PX', 100)",
    )
    .await
    .unwrap();
    tokio::time::advance(Duration::from_millis(99)).await;
    assert_eq!(engine.keys(), ["a"]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(engine.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_not_executed_and_a_lost_reply_is() {
    let engine = engine();
    let store = engine.client();
    store.faults().drop_next_requests(1);
    let lost = run(&store, "return redis.call('INCR', 'a')").await;
    assert!(matches!(lost, Err(StoreError::Timeout { within, .. }) if within == WITHIN));
    assert_eq!(engine.get("a"), None);
    store.faults().drop_next_replies(1);
    assert!(run(&store, "return redis.call('INCR', 'a')").await.is_err());
    assert_eq!(
        run(&store, "return redis.call('INCR', 'a')").await.unwrap(),
        Reply::Int(2)
    );
    store.faults().cut();
    assert!(store.describe("any", WITHIN).await.is_err());
    assert!(run(&engine.client(), "return 1").await.is_ok());
    store.faults().heal();
    assert!(store.describe("any", WITHIN).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_or_dropped_request_is_executed_when_its_delay_ends() {
    let engine = engine();
    let store = engine.client();
    store.faults().set_request_delay(Duration::from_secs(2));
    let start = tokio::time::Instant::now();
    assert!(run(&store, "return redis.call('INCR', 'a')").await.is_err());
    assert_eq!(start.elapsed(), WITHIN);
    let dropped = run(&store, "return redis.call('INCR', 'a')");
    assert!(
        tokio::time::timeout(Duration::from_millis(1), dropped)
            .await
            .is_err()
    );
    assert_eq!(engine.get("a"), None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(engine.get("a"), Some(b"2".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn both_delays_count_against_the_time_allowed() {
    let engine = engine();
    let store = engine.client();
    store.faults().set_request_delay(Duration::from_millis(200));
    store.faults().set_reply_delay(Duration::from_millis(200));
    let start = tokio::time::Instant::now();
    assert_eq!(run(&store, "return 5").await.unwrap(), Reply::Int(5));
    assert_eq!(start.elapsed(), Duration::from_millis(400));
    store.faults().set_reply_delay(Duration::from_millis(400));
    assert!(run(&store, "return redis.call('INCR', 'a')").await.is_err());
    assert_eq!(engine.get("a"), Some(b"1".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_paused_engine_executes_everything_after_it_resumes() {
    let engine = engine();
    let store = engine.client();
    engine.pause();
    assert!(run(&store, "return redis.call('INCR', 'a')").await.is_err());
    assert_eq!(engine.get("a"), None);
    let (second, ()) = tokio::join!(run(&store, "return redis.call('INCR', 'a')"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.resume();
    });
    assert_eq!(second.unwrap(), Reply::Int(2));
}

#[tokio::test]
async fn failover_restart_flush_and_outage() {
    let engine = engine();
    let store = engine.client();
    let first = engine.run_id();
    run(&store, "return redis.call('SET', 'a', 1)")
        .await
        .unwrap();
    let snapshot = engine.snapshot();
    run(&store, "return redis.call('SET', 'a', 2)")
        .await
        .unwrap();
    engine.rollback(&snapshot);
    assert_eq!(engine.get("a"), Some(b"1".to_vec()));
    let second = engine.run_id();
    assert!(first != second && second.len() == 40);
    engine.flush_all();
    assert!(engine.keys().is_empty() && engine.run_id() == second);
    run(&store, "return redis.call('SET', 'a', 2)")
        .await
        .unwrap();
    engine.restart();
    assert!(engine.keys() == ["a"] && engine.run_id() != second);
    assert!(engine.expire_evict("a") && !engine.expire_evict("a"));
    engine.restart_empty();
    engine.set_available(false);
    let refused = run(&store, "return 1").await;
    assert!(
        matches!(refused, Err(StoreError::Connect { .. })),
        "{refused:?}"
    );
    engine.set_available(true);
    let Reply::Bytes(info) = run(&store, "return redis.call('INFO', 'server')")
        .await
        .unwrap()
    else {
        panic!("INFO answers a string");
    };
    let info = String::from_utf8(info).unwrap();
    assert!(
        info.contains(&format!("run_id:{}\r\n", engine.run_id())),
        "{info}"
    );
    engine.set_info_forbidden(true);
    let refused = run(&store, "return redis.call('INFO', 'server')").await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
    engine.set_info_forbidden(false);
    assert_eq!(
        store.describe("any", WITHIN).await.unwrap().run_id,
        engine.run_id()
    );
}

#[test]
fn the_same_seed_gives_the_same_run_ids() {
    let run_ids = || {
        let engine = engine();
        let first = engine.run_id();
        engine.restart();
        [first, engine.run_id()]
    };
    assert_eq!(run_ids(), run_ids());
}

#[tokio::test(start_paused = true)]
async fn messages_reach_subscribers_unless_cut_off() {
    let engine = engine();
    let (near, far) = (engine.client(), engine.client());
    let mut subscription = near.subscribe("news", WITHIN).await.unwrap();
    let publish = |payload: &str| {
        [Command::Publish {
            channel: "news".to_owned(),
            payload: payload.to_owned(),
        }]
    };
    let told = far.pipeline(&publish("one"), WITHIN).await.remove(0);
    assert_eq!(told.unwrap(), Reply::Int(1));
    near.faults().cut_replies();
    let _ = far.pipeline(&publish("two"), WITHIN).await;
    near.faults().heal();
    near.faults().set_reply_delay(Duration::from_millis(50));
    run(&far, "return redis.call('PUBLISH', 'news', 'three')")
        .await
        .unwrap();
    assert_eq!(subscription.next().await, Some(b"one".to_vec()));
    assert_eq!(subscription.next().await, Some(b"three".to_vec()));
    engine.restart();
    assert_eq!(subscription.next().await, None);
}

#[tokio::test]
async fn calls_are_counted_and_names_are_shared() {
    let first = Embedded::named("counted");
    let store = Embedded::named("counted").client();
    run(
        &store,
        "redis.call('SET', 'a', 1) return redis.call('GET', 'a')",
    )
    .await
    .unwrap();
    let stats = first.stats();
    for name in ["pipelines", "test", "command:get", "command:set"] {
        assert_eq!(stats[name], 1, "{name}");
    }
    assert_eq!(
        first.command(&["GET", "a"]).unwrap(),
        Reply::Bytes(b"1".to_vec())
    );
    assert!(Embedded::named("other").keys().is_empty());
}
