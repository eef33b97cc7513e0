//! IDs in a database: `Id` is a `BIGINT` to `sqlx`, a span of time is a range of keys, and a bulk insert fills its keys
//! in one step.
//!
//! `cargo run -p coord-examples --bin sqlx_orders`

use std::time::{Duration, SystemTime};

use snowflake::{Generator, Id};
use sqlx::{Connection as _, QueryBuilder, Row as _, SqliteConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let ids = Generator::with_machine_id(1)?;
    let mut database = SqliteConnection::connect("sqlite::memory:").await?;
    create_table(&mut database).await?;
    insert(&mut database, &ids, &["tea", "milk", "sugar"]).await?;
    for (id, item) in orders_of_the_last(&mut database, &ids, Duration::from_secs(60)).await? {
        println!("{id} {item}");
    }
    Ok(())
}

async fn create_table(database: &mut SqliteConnection) -> anyhow::Result<()> {
    sqlx::query("CREATE TABLE orders (id BIGINT PRIMARY KEY, item TEXT NOT NULL)")
        .execute(database)
        .await?;
    Ok(())
}

/// All rows in one statement, all keys in one step of the generator.
async fn insert(
    database: &mut SqliteConnection,
    ids: &Generator,
    items: &[&str],
) -> anyhow::Result<()> {
    let mut keys = vec![Id::from_u64(0); items.len()];
    let mut filled = 0;
    while filled < keys.len() {
        // `fill` would sleep, which a task must not: this waits for the one ID that is missing.
        filled += match ids.try_fill(&mut keys[filled..]) {
            Ok(count) => count,
            Err(_) => {
                keys[filled] = ids.next().await?;
                1
            }
        };
    }
    let mut query = QueryBuilder::new("INSERT INTO orders (id, item) ");
    query.push_values(keys.iter().zip(items), |mut row, (id, item)| {
        row.push_bind(*id).push_bind(item.to_string());
    });
    query.build().execute(database).await?;
    Ok(())
}

/// A range of the primary key: no index over a time is needed.
async fn orders_of_the_last(
    database: &mut SqliteConnection,
    ids: &Generator,
    span: Duration,
) -> anyhow::Result<Vec<(Id, String)>> {
    let soon = now() + Duration::from_secs(1);
    let range = ids.layout().ids_between(soon - span, soon)?;
    let rows = sqlx::query("SELECT id, item FROM orders WHERE id BETWEEN ? AND ? ORDER BY id")
        .bind(*range.start())
        .bind(*range.end())
        .fetch_all(database)
        .await?;
    let order = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(order).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example has no clock to inject"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_inserted_is_found_by_its_time_in_order() -> anyhow::Result<()> {
        let ids = Generator::builder().unguarded().machine_id(1)?;
        let mut database = SqliteConnection::connect("sqlite::memory:").await?;
        create_table(&mut database).await?;
        let items: Vec<_> = (0..500).map(|number| format!("item {number}")).collect();
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        insert(&mut database, &ids, &items).await?;
        let found = orders_of_the_last(&mut database, &ids, Duration::from_secs(60)).await?;
        let found: Vec<_> = found.iter().map(|(_, item)| item.as_str()).collect();
        assert_eq!(found, items);
        let hour_ago = now() - Duration::from_secs(3_600);
        let before = ids
            .layout()
            .ids_between(hour_ago - Duration::from_secs(60), hour_ago)?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE id <= ?")
            .bind(*before.end())
            .fetch_one(&mut database)
            .await?;
        assert_eq!(count, 0);
        Ok(())
    }
}
