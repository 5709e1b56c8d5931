//! What syncing costs in calls of Route 53's API ([`secondary53_tests::calls`]), as a table.
//!
//! usage: calls [RECORDS…]        100, 1,000 and 10,000 where none are given

use secondary53_tests::calls::{Cost, costs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![100, 1_000, 10_000];
    }
    println!("{:>8}  {:<43} {:>5}  {:>7}", "records", "", "calls", "batches");
    for records in sizes {
        for Cost { what, calls, batches } in costs(records).await? {
            println!("{records:>8}  {what:<43} {calls:>5}  {batches:>7}");
        }
    }
    Ok(())
}
