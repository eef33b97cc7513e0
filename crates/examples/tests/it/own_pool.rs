use redis::Commands as _;

use super::{PATIENCE, program, redis};

#[test]
fn orders_are_cached_under_ids_from_the_same_pool() -> anyhow::Result<()> {
    let server = redis();
    let mut run = program(env!("CARGO_BIN_EXE_own_pool"), &server).spawn()?;
    let status = run.wait(PATIENCE)?;
    assert!(status.success(), "{}", run.stderr());
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    let lines = run.lines();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let (key, item) = line.text.split_once(' ').expect("key and item");
        let cached: String = connection.get(key)?;
        assert_eq!(cached, item);
    }
    let held: bool = connection.exists("own-pool:id:0")?;
    assert!(!held, "it was given back");
    Ok(())
}
