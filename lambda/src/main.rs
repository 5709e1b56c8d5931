//! What AWS Lambda's `provided.al2023` runtime starts.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use secondary53_lambda::{settings, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start::log();
    let worker = start::worker(settings::from_environment(|key| std::env::var(key).ok())?).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| Ok::<_, Error>(worker.handle(event).await))).await
}
