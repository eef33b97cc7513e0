use super::*;

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[test]
fn valkey_reports_its_own_version() {
    let valkey =
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.8\r\n";
    let reordered = "valkey_version:8.1.8\r\nserver_name:valkey\r\nredis_version:7.2.4\r\n";
    for text in [valkey, reordered] {
        let mut answers = Answers::default();
        read_info(&mut answers, bulk(text));
        let info = answers.into_info(Duration::ZERO);
        assert_eq!(
            (info.product.as_str(), info.version.as_str()),
            ("valkey", "8.1.8")
        );
    }
}

/// Answers every question with its words, but for one that is refused.
struct Told(&'static str);

impl Wire for Told {
    fn send_all(
        &self,
        _commands: Vec<redis::Cmd>,
    ) -> crate::store::BoxFuture<'static, Result<Vec<Value>, redis::RedisError>> {
        unreachable!("each question goes alone")
    }

    fn send(
        &self,
        command: redis::Cmd,
    ) -> crate::store::BoxFuture<'static, Result<Value, redis::RedisError>> {
        let words: Vec<Vec<u8>> = command
            .args_iter()
            .map(|word| match word {
                redis::Arg::Simple(word) => word.to_vec(),
                _ => Vec::new(),
            })
            .collect();
        let words = String::from_utf8(words.join(&b' ')).expect("ASCII");
        let answer = match words.as_str() {
            "TIME" => Ok(Value::Array(vec![bulk("100"), bulk("5")])),
            "INFO server" => Ok(bulk("redis_version:7.0.15\r\nrun_id:abc\r\n")),
            "INFO replication" => Ok(bulk(
                "role:slave\r\nmaster_host:h\r\nmaster_port:7\r\nconnected_slaves:2\r\n",
            )),
            "INFO memory" => Ok(bulk(
                "used_memory:5\r\nmaxmemory:9\r\nmaxmemory_policy:noeviction\r\n",
            )),
            "INFO persistence" => Ok(bulk("aof_enabled:1\r\n")),
            "CONFIG GET min-replicas-*" => Ok(Value::Array(vec![
                bulk("min-replicas-to-write"),
                bulk("1"),
                bulk("min-replicas-max-lag"),
                bulk("10"),
            ])),
            "CONFIG GET save" => Ok(Value::Array(vec![bulk("save"), bulk("")])),
            other => panic!("nobody asks {other}"),
        };
        let refusal = format!("-{}\r\n", self.0);
        let answer = if words.starts_with("CONFIG") && !self.0.is_empty() {
            redis::parse_redis_value(refusal.as_bytes()).and_then(Value::extract_error)
        } else {
            answer
        };
        Box::pin(async { answer })
    }
}

#[tokio::test]
async fn everything_that_a_server_says_is_read() {
    let info = describe(&Told(""), "h", &[SERVER]).await.expect("answers");
    assert!(Some(Duration::from_secs(100)) < info.wall);
    let expected = ServerInfo {
        product: "redis".to_owned(),
        version: "7.0.15".to_owned(),
        run_id: "abc".to_owned(),
        role: "slave".to_owned(),
        master: Some("h:7".to_owned()),
        connected_replicas: 2,
        used_memory: 5,
        maxmemory: 9,
        maxmemory_policy: "noeviction".to_owned(),
        persists: Some(true),
        min_replicas_to_write: Some(1),
        min_replicas_max_lag: Some(Duration::from_secs(10)),
        wall: info.wall,
        ..ServerInfo::default()
    };
    assert_eq!(info, expected);
}

#[tokio::test]
async fn what_a_server_refuses_to_say_is_noted_and_a_failure_is_one() {
    let refused = describe(&Told("NOPERM no permissions"), "h", &[SERVER]).await;
    let unchecked: Vec<String> = refused
        .expect("it says the rest")
        .unchecked
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        unchecked,
        [
            "min-replicas-to-write (CONFIG GET min-replicas-*: NOPERM no permissions)",
            "snapshots (CONFIG GET save: NOPERM no permissions)"
        ]
    );
    let failed = describe(&Told("LOADING not yet"), "h", &[SERVER]).await;
    assert!(matches!(failed, Err(StoreError::Unavailable { .. })));
}

#[cfg(feature = "cluster")]
#[test]
fn a_cluster_says_after_which_silence_it_fails_over() {
    let mut answers = Answers::default();
    let pair = vec![bulk("cluster-node-timeout"), bulk("15000")];
    read_config(&mut answers, Value::Array(pair));
    let expected = crate::store::Failover::Cluster {
        node_timeout: Duration::from_secs(15),
    };
    assert_eq!(answers.into_info(Duration::ZERO).failover, Some(expected));
}

#[test]
fn a_round_trip_of_half_a_second_is_not_too_slow_and_snapshots_are_persistence() {
    let answers = Answers {
        time: Some(Duration::from_secs(7)),
        ..Answers::default()
    };
    let wall = answers.into_info(MAX_ROUND_TRIP).wall;
    assert_eq!(wall, Some(Duration::from_millis(7_250)));
    for (save, expected) in [("3600 1", Some(true)), ("", Some(false))] {
        let mut answers = Answers::default();
        read_info(&mut answers, bulk("aof_enabled:0\r\n"));
        let pair = vec![bulk("save"), bulk(save)];
        read_config(&mut answers, Value::Array(pair));
        assert_eq!(answers.into_info(Duration::ZERO).persists, expected);
    }
}

#[test]
fn settings_are_read_from_lists_and_maps() {
    let pair = || (bulk("min-replicas-max-lag"), bulk("3"));
    let list = Value::Array(vec![pair().0, pair().1]);
    for value in [list, Value::Map(vec![pair()])] {
        let mut answers = Answers::default();
        read_config(&mut answers, value);
        let info = answers.into_info(Duration::ZERO);
        assert_eq!(info.min_replicas_max_lag, Some(Duration::from_secs(3)));
    }
}

#[test]
fn either_kind_of_persistence_is_enough_and_one_unknown_is_no_verdict() {
    let verdict = |append_only, snapshots| {
        let answers = Answers {
            append_only,
            snapshots,
            ..Answers::default()
        };
        answers.into_info(Duration::ZERO).persists
    };
    assert_eq!(verdict(Some(true), None), Some(true));
    assert_eq!(verdict(Some(false), Some(true)), Some(true));
    assert_eq!(verdict(Some(false), Some(false)), Some(false));
    assert_eq!(verdict(Some(false), None), None);
    assert_eq!(verdict(None, Some(false)), None);
}

#[test]
fn the_clock_is_read_in_the_middle_of_a_round_trip_that_was_not_slow() {
    let mut answers = Answers::default();
    read_time(&mut answers, Value::Array(vec![bulk("100"), bulk("5")]));
    let time = Duration::new(100, 5_000);
    assert_eq!(answers.time, Some(time));
    let read_after = |round_trip| {
        let answers = Answers {
            time: Some(time),
            ..Answers::default()
        };
        answers.into_info(round_trip)
    };
    let quick = read_after(Duration::from_millis(10));
    assert_eq!(quick.wall, Some(time + Duration::from_millis(5)));
    let slow = read_after(Duration::from_secs(1));
    assert_eq!(slow.wall, None);
    assert_eq!(
        slow.unchecked[0].to_string(),
        "clock (TIME: the answer took 1s)"
    );
}
