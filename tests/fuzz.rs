//! Every door for strangers' bytes, with what gets through it and with what is damaged a little. `make fuzz` tries more, led by
//! what code runs.

use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;

#[path = "../fuzz/src/doors.rs"]
mod doors;

use doors::{DOORS, Door};

/// Damaged inputs for each door, unless `LONGATTN_FUZZ_ROUNDS` tells another number.
const ROUNDS: u64 = 200;

/// As by SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let place = self.below(bytes.len() + 1);
        let length = 1 + self.below(16);
        let end = bytes.len().min(place + length);
        match self.below(6) {
            0 => bytes.truncate(place),
            1 => drop(bytes.drain(place..end)),
            2 => drop(bytes.splice(place..place, bytes[place..end].to_vec())),
            3 => drop(bytes.splice(place..end, (0..length).map(|_| self.next() as u8))),
            4 => drop(bytes.splice(place..end, [0, u8::MAX][self.below(2)..].iter().copied().take(1).cycle().take(8))),
            _ => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
        }
    }
}

/// Goes through a door, and keeps what breaks it.
fn go_through(door: &Door, bytes: &[u8]) {
    let Err(panic) = catch_unwind(|| (door.enter)(bytes)) else { return };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", door.name));
    fs::write(&kept, bytes).unwrap();
    println!("what breaks it is kept in {}", kept.display());
    resume_unwind(panic);
}

fn enter(name: &str) {
    let door: &Door = DOORS.iter().find(|door| door.name == name).unwrap();
    let seeds = (door.seeds)();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| go_through(door, seed));
    let rounds = std::env::var("LONGATTN_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let mut random = Random(round);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        (0..=random.below(4)).for_each(|_| random.damage(&mut bytes));
        go_through(door, &bytes);
    }
}

macro_rules! doors {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            enter(stringify!($name));
        })*

        #[test]
        fn every_door_is_tried() {
            assert_eq!(DOORS.iter().map(|door| door.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

doors!(corpus, gguf, checkpoint, tokenizer, results, scores, selector, settings, metadata);
