//! A machine ID of your own, and a file that keeps a restart or a clock that was set back from repeating IDs.
//!
//! `cargo run -p snowflake --example static_machine_id -- /var/lib/myservice/horizon 5`

use std::error::Error;

use snowflake::Generator;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("snowflake-{}", std::process::id())),
        Into::into,
    );
    let count: u32 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    // In a real service the machine ID comes from its configuration, such as the ordinal of a StatefulSet.
    let ids = Generator::builder().horizon_file(&path).machine_id(7)?;
    for _ in 0..count {
        let id = ids.next_blocking()?;
        let parts = ids.layout().decode(id);
        println!("{id} {} at {} ms", id.to_base62(), parts.unix_ms);
    }
    // Without this, as after a crash, the next run begins up to 3 s ahead of the clock.
    ids.close()?;
    Ok(())
}
