//! A machine ID of your own, and a file that keeps a restart or a clock that was set back from repeating IDs.
//!
//! `cargo run -p raus-snowflake --example static_machine_id -- /var/lib/myservice/horizon 5`

use std::{error::Error, path::Path};

use snowflake::Generator;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give a path for the horizon file")?;
    let count = arguments.next().map_or(Ok(5), |text| text.parse())?;
    mint(Path::new(&path), count)
}

fn mint(path: &Path, count: u32) -> Result<(), Box<dyn Error>> {
    // In a real service the machine ID comes from its configuration, such as the ordinal of a StatefulSet.
    let ids = Generator::builder().horizon_file(path).machine_id(7)?;
    for _ in 0..count {
        let id = ids.next_blocking()?;
        let parts = ids.layout().decode(id);
        println!("{id} {} at {} ms", id.to_base62(), parts.unix_ms);
    }
    // Without this, as after a crash, the next run begins up to 3 s ahead of the clock.
    ids.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_run_again_and_again() -> Result<(), Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        for _ in 0..3 {
            mint(&directory.path().join("horizon"), 5)?;
        }
        Ok(())
    }
}
