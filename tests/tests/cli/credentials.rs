//! What AWS does not take is told in a line, with what to do.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::{World, file, finished, secondary53, told};

/// An AWS for which every credential has expired: XML to Route 53's clients, JSON to those of SQS.
async fn expired(headers: HeaderMap) -> Response {
    let is_sqs = headers.contains_key("x-amz-target");
    let body = if is_sqs {
        "{\"__type\":\"ExpiredToken\",\"message\":\"The security token is expired\"}"
    } else {
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token is expired</Message>\
         </Error><RequestId>1</RequestId></ErrorResponse>"
    };
    (StatusCode::FORBIDDEN, body).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_one_line_and_what_to_do() {
    let world = World::start(file(7, "w A 192.0.2.1")).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let aws = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(expired)).await });
    let primary = world.primary.address().to_string();
    let commands: [&[&str]; 3] =
        [&["plan", "example.com", "--primary", &primary], &["dlq", "list"], &["dlq", "list", "--dlq-url", &endpoint]];
    for arguments in commands {
        let mut command = secondary53(arguments);
        command.args(["--endpoint-url", &endpoint]);
        let (status, _, error) = told(&finished(command, Vec::new()).await);
        assert_eq!((status, error.lines().count()), (1, 1), "{error}");
        assert!(
            error.contains("ExpiredToken: The security token is expired") && error.contains("aws sso login"),
            "{error}"
        );
    }
    aws.abort();
}
