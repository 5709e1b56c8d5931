//! What no SDK sends: requests that are not well-formed, too long or for nothing that is there.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::*;

/// An answer over HTTP.
pub struct Page {
    head: String,
    body: String,
}

impl Page {
    /// The body of an answer that is good.
    #[track_caller]
    pub fn body(self) -> String {
        assert!(self.head.starts_with("HTTP/1.1 20"), "{}", self.head);
        self.body
    }

    /// The status and the code of an error.
    fn error(&self) -> (&str, &str) {
        let status = self.head.split(' ').nth(1).unwrap();
        let code = self.body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        (status, code.map_or("", |(code, _)| code))
    }
}

/// The plainest of requests.
pub async fn ask(endpoint: &str, method: &str, path: &str, body: &str) -> Page {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).await.unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A body that is refused by its length need not be read to its end.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(GENEROUS, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Page { head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let world = World::start().await;
    let endpoint = world.server.endpoint();
    let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset/");
    let wrapped = |inner: &str| {
        format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             {inner}</ChangeResourceRecordSetsRequest>"
        )
    };
    let set = "<Name>a.example.com</Name><Type>A</Type><TTL>1</TTL>";
    let change =
        |inner: &str| wrapped(&format!("<ChangeBatch><Changes><Change>{inner}</Change></Changes></ChangeBatch>"));
    for (body, code) in [
        (String::new(), "MalformedInput"),
        ("<ChangeResourceRecordSetsRequest/>".to_owned(), "MalformedInput"),
        (wrapped("<ChangeBatch>"), "MalformedInput"),
        (wrapped(""), "InvalidInput"),
        (wrapped("<ChangeBatch><Changes></Changes></ChangeBatch>"), "InvalidInput"),
        (change("<Action>RENAME</Action>"), "InvalidInput"),
        (change(&format!("<Action>CREATE</Action><ResourceRecordSet>{set}</ResourceRecordSet>")), "InvalidInput"),
    ] {
        assert_eq!(ask(&endpoint, "POST", &path, &body).await.error(), ("400", code), "{body}");
    }
    let nowhere = ask(&endpoint, "GET", "/2013-04-01/trafficpolicies", "").await;
    assert_eq!(nowhere.error(), ("404", "UnknownOperationException"));
    assert_eq!(world.zone().rrsets.len(), 2);
}

#[tokio::test]
async fn a_request_is_bounded() {
    let world = World::start().await;
    let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
    let page = ask(&world.server.endpoint(), "POST", &path, &" ".repeat(4 * 1_024 * 1_024 + 1)).await;
    assert_eq!(page.error().0, "413");
}
