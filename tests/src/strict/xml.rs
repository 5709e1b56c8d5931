//! Just enough XML: a request read into a tree, an answer written from one.
//!
//! A tree rather than serde, because what stands in `Value` must arrive octet for octet, and because the elements that
//! this stand-in only keeps (routing policies) go back out exactly as they came.

use quick_xml::{
    Reader,
    escape::{escape, resolve_xml_entity},
    events::Event,
};

/// Route 53's namespace.
pub const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// Deeper than any request of the API.
const MAX_DEPTH: usize = 16;

/// An element: text or children, as Route 53 never mixes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Its text; between children it is white space and dropped.
    pub text: String,
    /// In document order.
    pub children: Vec<Element>,
}

impl Element {
    /// An element with children to come.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// An element that holds text.
    pub fn leaf(name: &str, text: &(impl ToString + ?Sized)) -> Self {
        Self { name: name.to_owned(), text: text.to_string(), children: Vec::new() }
    }

    /// Appends a child.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Appends a child that may be missing, or several.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The whole document of an answer, with the namespace on its root.
    pub fn into_document(self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut out, Some(NAMESPACE));
        out
    }

    fn write(&self, out: &mut String, namespace: Option<&str>) {
        out.push('<');
        out.push_str(&self.name);
        if let Some(namespace) = namespace {
            out.push_str(" xmlns=\"");
            out.push_str(namespace);
            out.push('"');
        }
        out.push('>');
        out.push_str(&escape(self.text.as_str()));
        for child in &self.children {
            child.write(out, None);
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

/// What a body fails to be; completes "the XML you provided …".
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not well-formed.
    #[error("is not well-formed: {0}")]
    Syntax(String),
    /// Well-formed, but not a request of this kind.
    #[error("is not a {0} in the namespace {NAMESPACE}")]
    Root(String),
}

/// Reads a document whose root is `root` in Route 53's namespace.
pub fn parse(body: &[u8], root: &str) -> Result<Element, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed::Syntax(error.to_string()))?;
    let syntax = |what: &str| Malformed::Syntax(what.to_owned());
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut document = None;
    // Every event consumes input, so the body's size, which the server bounds, bounds this loop too.
    loop {
        let event = reader.read_event().map_err(|error| Malformed::Syntax(error.to_string()))?;
        let closed = match event {
            Event::Start(start) => {
                open.push(opened(&start, open.is_empty(), root)?);
                if open.len() > MAX_DEPTH {
                    return Err(syntax("it is nested too deeply"));
                }
                continue;
            }
            Event::Empty(start) => opened(&start, open.is_empty(), root)?,
            Event::End(_) => open.pop().ok_or_else(|| syntax("an end without a start"))?,
            Event::Text(text) => {
                let text = text.xml10_content();
                match open.last_mut() {
                    Some(element) => element.text.push_str(&text),
                    None if text.trim().is_empty() => {}
                    None => return Err(syntax("text outside of the root element")),
                }
                continue;
            }
            Event::CData(data) => {
                let element = open.last_mut().ok_or_else(|| syntax("text outside of the root element"))?;
                element.text.push_str(&data.xml10_content());
                continue;
            }
            Event::GeneralRef(reference) => {
                let element = open.last_mut().ok_or_else(|| syntax("text outside of the root element"))?;
                let char_ref = reference.resolve_char_ref().map_err(|error| Malformed::Syntax(error.to_string()))?;
                if let Some(character) = char_ref {
                    element.text.push(character);
                } else {
                    element.text.push_str(resolve_xml_entity(&reference).ok_or_else(|| syntax("an unknown entity"))?);
                }
                continue;
            }
            // Entities of one's own are how XML is made to grow: no document type.
            Event::DocType(_) => return Err(syntax("it has a document type")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => continue,
            Event::Eof => break,
        };
        let mut closed = closed;
        if !closed.children.is_empty() {
            if !closed.text.trim().is_empty() {
                return Err(Malformed::Syntax(format!("{} mixes text and elements", closed.name)));
            }
            closed.text.clear();
        }
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None if document.is_some() => return Err(syntax("it has two root elements")),
            None => document = Some(closed),
        }
    }
    match document {
        Some(document) if open.is_empty() => Ok(document),
        _ => Err(syntax("it ends early")),
    }
}

fn opened(start: &quick_xml::events::BytesStart<'_>, is_root: bool, root: &str) -> Result<Element, Malformed> {
    let local = start.local_name().as_ref().to_owned();
    if is_root {
        let namespace = start.try_get_attribute("xmlns").ok().flatten();
        if local != root || namespace.is_none_or(|attribute| *attribute.value != *NAMESPACE) {
            return Err(Malformed::Root(root.to_owned()));
        }
    }
    Ok(Element::new(&local))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(inner: &str) -> String {
        format!("<R xmlns=\"{NAMESPACE}\">{inner}</R>")
    }

    #[test]
    fn values_arrive_octet_for_octet() {
        let text = " \"a  &amp; &lt;b&gt;\" &quot;c&#9;d\\101\" ";
        let tree = parse(wrapped(&format!("\n <V>{text}</V>\n")).as_bytes(), "R").unwrap();
        assert_eq!(tree.text_of("V"), Some(" \"a  & <b>\" \"c\td\\101\" "));
        assert_eq!(parse(tree.clone().into_document().as_bytes(), "R").unwrap(), tree);
    }

    #[test]
    fn refuses_what_is_not_the_request() {
        for bad in ["", "<R/>", "<R xmlns='x'/>", "<Q/>", "text", "<!DOCTYPE R><R/>"] {
            assert!(parse(bad.as_bytes(), "R").is_err(), "{bad:?} was taken");
        }
        for bad in ["<V>", "</V>", "<V></W>", "<V>a<W/></V>", "<V>&nothing;</V>", &"<V>".repeat(40)] {
            assert!(parse(wrapped(bad).as_bytes(), "R").is_err(), "{bad:?} was taken");
        }
    }
}
