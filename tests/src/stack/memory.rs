//! What a process holds in memory, as Linux tells it (`proc(5)`).

use super::StackError;

/// KiB that it holds now.
///
/// # Errors
/// There is no such process.
pub fn resident(process: u32) -> Result<u64, StackError> {
    field(process, "VmRSS:")
}

/// KiB that it has held at most.
///
/// # Errors
/// There is no such process.
pub fn peak(process: u32) -> Result<u64, StackError> {
    field(process, "VmHWM:")
}

fn field(process: u32, name: &str) -> Result<u64, StackError> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).map_err(StackError::io(format!("read {path}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    value.ok_or_else(|| StackError::step(format!("find {name} in {path}"), &text))
}
