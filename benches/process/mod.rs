//! What benches measure of processes.

#![allow(dead_code)] // Each bench uses its own part.

use std::fs;

/// The most memory that this process has had, from Linux's own account.
pub fn peak_memory_megabytes() -> f64 {
    peak("self")
}

/// The most memory that a running process has had.
pub fn peak_memory_megabytes_of(process: u32) -> f64 {
    peak(&process.to_string())
}

fn peak(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0 / 1e6)
}
