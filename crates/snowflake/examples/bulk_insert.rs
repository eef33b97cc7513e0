//! Keys for a bulk insert, minted in few steps.
//!
//! `cargo run -p raus-snowflake --example bulk_insert`

use std::error::Error;

use snowflake::Generator;

fn main() -> Result<(), Box<dyn Error>> {
    let ids = Generator::with_machine_id(7)?;
    let names = ["ada", "grace", "edsger", "barbara"];

    // For exactly as many as fit a millisecond: one step, no waiting.
    let keys = ids.reserve(u32::try_from(names.len())?)?;
    let rows: Vec<_> = keys
        .zip(names)
        .map(|(id, name)| format!("({id}, '{name}')"))
        .collect();
    println!("INSERT INTO people (id, name) VALUES {};", rows.join(", "));

    // For any number: sleeps when a millisecond's are used up.
    let mut keys = vec![0_u64; 10_000];
    ids.fill(&mut keys)?;
    println!(
        "-- {} more, from {} to {}",
        keys.len(),
        keys[0],
        keys[keys.len() - 1]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("nothing that could fail");
    }
}
