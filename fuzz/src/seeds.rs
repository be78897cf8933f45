//! Writes what each door is tried with first: `seeds FOLDER`, from the root of the project.

use std::fs;
use std::path::PathBuf;

mod doors;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder for the seeds"));
    for door in doors::DOORS {
        let folder = folder.join(door.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (door.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}", door.name);
    }
    Ok(())
}
