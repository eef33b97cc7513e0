//! Runs a chapter's SQL.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::blocks::Block;

/// Runs all statements of a chapter in order, on one database in memory. A comment after a statement says how many rows it
/// touches: `-- 1 row`, `-- 0 rows`.
pub(super) fn run(chapter: &str, blocks: &[&Block]) {
    if blocks.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut database = SqliteConnection::connect("sqlite::memory:")
            .await
            .expect("it opens");
        for block in blocks {
            for (statement, rows) in statements(&block.text) {
                let place = format!("{chapter}:{}: {statement}", block.line);
                let done = sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut database)
                    .await;
                let done = done.unwrap_or_else(|error| panic!("{place}\n{error}"));
                if let Some(rows) = rows {
                    assert_eq!(done.rows_affected(), rows, "{place}");
                }
            }
        }
    });
}

/// The statements, each with the number of rows that the comment after it names.
fn statements(text: &str) -> Vec<(String, Option<u64>)> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in text.lines() {
        let (code, comment) = line.split_once("--").unwrap_or((line, ""));
        statement.push_str(code);
        statement.push('\n');
        if code.trim_end().ends_with(';') {
            statements.push((statement.trim().to_owned(), rows(comment)));
            statement.clear();
        } else if let Some(last) = statements.last_mut()
            && statement.trim().is_empty()
        {
            last.1 = last.1.or_else(|| rows(comment));
        }
    }
    assert!(
        statement.trim().is_empty(),
        "end each statement with a semicolon: {statement}"
    );
    statements
}

fn rows(comment: &str) -> Option<u64> {
    let mut words = comment.split_whitespace();
    let rows = words.next()?.parse().ok()?;
    words
        .next()
        .is_some_and(|word| word.starts_with("row"))
        .then_some(rows)
}

#[test]
fn statements_say_how_many_rows_they_touch() {
    let text = "CREATE TABLE t (a INT);\nUPDATE t\n  SET a = 1; -- 0 rows: none is there\nSELECT 1;\n-- 1 row\n";
    let found = statements(text);
    let rows: Vec<Option<u64>> = found.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [None, Some(0), Some(1)]);
    assert_eq!(found[1].0, "UPDATE t\n  SET a = 1;");
}
