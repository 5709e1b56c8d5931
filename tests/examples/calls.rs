//! What syncing costs ([`secondary53_tests::calls`]), as a table: calls of Route 53's API, changes as it counts them, octets of
//! the message, and the worker's milliseconds where Route 53 has no limits and is next door.
//!
//! usage: calls [RECORDS…]        100, 1,000 and 10,000 where none are given

use secondary53_tests::calls::{Cost, costs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![100, 1_000, 10_000];
    }
    println!(
        "{:>8}  {:<43} {:>5}  {:>7}  {:>7}  {:>9}  {:>9}",
        "records", "", "calls", "batches", "changes", "octets", "ms"
    );
    for records in sizes {
        for Cost { what, calls, batches, changes, octets, took } in costs(records).await? {
            let ms = took.as_secs_f64() * 1_000.0;
            println!("{records:>8}  {what:<43} {calls:>5}  {batches:>7}  {changes:>7}  {octets:>9}  {ms:>9.2}");
        }
    }
    Ok(())
}
