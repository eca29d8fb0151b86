//! Route 53's words: XML, version 2013-04-01.

use std::fmt::Write;

use roxmltree::{Document, Node};

/// Everything of a zone that matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HostedZone {
    /// Without the `/hostedzone/` before it.
    pub(super) id: String,
    /// With a dot at its end.
    pub(super) name: String,
    pub(super) is_private: bool,
}

/// The TXT records of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextRecords {
    pub(super) ttl_seconds: u32,
    /// As Route 53 has them: in quotation marks.
    pub(super) values: Vec<String>,
}

/// What AWS says when it does not do as asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum XmlError {
    #[error(transparent)]
    Syntax(#[from] roxmltree::Error),
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// One step of a change. All steps of a batch are taken, or none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// Refused when there are records already.
    Create,
    /// Refused when the records are not exactly these.
    Delete,
}

pub(super) fn parse_zones(text: &str) -> Result<Vec<HostedZone>, XmlError> {
    let document = Document::parse(text)?;
    let zone = |node: Node<'_, '_>| {
        Ok(HostedZone {
            id: last_part(child_text(node, "Id")?).to_owned(),
            name: child_text(node, "Name")?.to_owned(),
            is_private: all(node, "PrivateZone").any(|node| node.text() == Some("true")),
        })
    };
    all(document.root(), "HostedZone").map(zone).collect()
}

/// The TXT records of exactly this name in a list of records.
pub(super) fn parse_texts(text: &str, name: &str) -> Result<Option<TextRecords>, XmlError> {
    let document = Document::parse(text)?;
    for node in all(document.root(), "ResourceRecordSet") {
        let is_it =
            child_text(node, "Type")? == "TXT" && unescaped(child_text(node, "Name")?).eq_ignore_ascii_case(name);
        if is_it {
            let values = all(node, "Value").filter_map(|node| node.text());
            return Ok(Some(TextRecords {
                // An alias has none; TXT records have no alias.
                ttl_seconds: child_text(node, "TTL")?.parse().map_err(|_| XmlError::Missing("TTL"))?,
                values: values.map(str::to_owned).collect(),
            }));
        }
    }
    Ok(None)
}

/// A change's id and whether every server of the zone has it.
pub(super) fn parse_change(text: &str) -> Result<(String, bool), XmlError> {
    let document = Document::parse(text)?;
    let change = all(document.root(), "ChangeInfo")
        .next()
        .ok_or(XmlError::Missing("ChangeInfo"))?;
    let is_in_sync = child_text(change, "Status")? == "INSYNC";
    Ok((last_part(child_text(change, "Id")?).to_owned(), is_in_sync))
}

/// `ErrorResponse` has a code; `InvalidChangeBatch` is one itself, with messages.
pub(super) fn parse_refusal(text: &str) -> Result<Refusal, XmlError> {
    let document = Document::parse(text)?;
    let root = document.root_element();
    let messages: Vec<_> = all(root, "Message").filter_map(|node| node.text()).collect();
    let code = all(root, "Code").next().and_then(|node| node.text());
    Ok(Refusal {
        code: code.unwrap_or(root.tag_name().name()).to_owned(),
        message: messages.join("; "),
    })
}

/// The body of a `ChangeResourceRecordSets`.
pub(super) fn change_batch(name: &str, changes: &[(Action, &TextRecords)]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>",
    );
    for (action, records) in changes {
        let action = match action {
            Action::Create => "CREATE",
            Action::Delete => "DELETE",
        };
        let (name, ttl) = (escaped(name), records.ttl_seconds);
        let _ = write!(
            text,
            "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>TXT</Type><TTL>{ttl}</TTL>\
             <ResourceRecords>"
        );
        for value in &records.values {
            let value = escaped(value);
            let _ = write!(text, "<ResourceRecord><Value>{value}</Value></ResourceRecord>");
        }
        text.push_str("</ResourceRecords></ResourceRecordSet></Change>");
    }
    text.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
    text
}

/// A TXT value as a zone file has it.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn all<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

fn child_text<'a>(node: Node<'a, '_>, name: &'static str) -> Result<&'a str, XmlError> {
    let mut children = node.children().filter(|child| child.tag_name().name() == name);
    let child = children.next().ok_or(XmlError::Missing(name))?;
    Ok(child.text().unwrap_or_default())
}

/// `Z123` of `/hostedzone/Z123`.
fn last_part(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(_, last)| last)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // A reader would turn a bare carriage return into a line feed.
            '\r' => escaped.push_str("&#13;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A name without the octal escapes (`\052` for `*`) that Route 53 lists names with.
fn unescaped(name: &str) -> String {
    let mut rest = name;
    let mut plain = String::with_capacity(name.len());
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zones_are_read() {
        let text = r#"<?xml version="1.0"?>
            <ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
              <HostedZones>
                <HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><CallerReference>a&amp;b</CallerReference>
                  <Config><Comment>x</Comment><PrivateZone>false</PrivateZone></Config></HostedZone>
                <HostedZone><Id>/hostedzone/Z2</Id><Name>example.com.</Name><Config><PrivateZone>true</PrivateZone></Config></HostedZone>
              </HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>
            </ListHostedZonesByNameResponse>"#;
        let zones = parse_zones(text).unwrap();
        let zone = |id: &str, is_private| HostedZone {
            id: id.to_owned(),
            name: "example.com.".to_owned(),
            is_private,
        };
        assert_eq!(zones, [zone("Z1", false), zone("Z2", true)]);
    }

    #[test]
    fn refusals_are_read_in_both_of_their_shapes() {
        let denied = "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>\
            <Code>AccessDenied</Code><Message>User is not authorized</Message></Error><RequestId>1</RequestId></ErrorResponse>";
        let invalid = "<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages>\
            <Message>one</Message><Message>two</Message></Messages></InvalidChangeBatch>";
        let refusal = |code: &str, message: &str| Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(
            parse_refusal(denied).unwrap(),
            refusal("AccessDenied", "User is not authorized")
        );
        assert_eq!(
            parse_refusal(invalid).unwrap(),
            refusal("InvalidChangeBatch", "one; two")
        );
    }

    #[test]
    fn a_bomb_of_entities_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert!(parse_zones(bomb).is_err());
    }

    #[test]
    fn names_are_compared_without_their_escapes() {
        assert_eq!(unescaped("\\052.example.com."), "*.example.com.");
        assert_eq!(unescaped("a\\9b\\"), "a\\9b\\");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = (parse_zones(&text), parse_texts(&text, "a."), parse_change(&text), parse_refusal(&text));
            let _ = unescaped(&text);
        }

        /// What we write holds exactly the values that we meant, whatever is in them.
        #[test]
        fn values_survive_the_way_there(values in proptest::collection::vec("[ -~äß\t\r\n]{1,20}", 1..4), ttl_seconds in any::<u32>()) {
            let records = TextRecords { ttl_seconds, values };
            let name = "_acme-challenge.example.com.";
            let written = change_batch(name, &[(Action::Delete, &records), (Action::Create, &records)]);
            prop_assert_eq!(parse_texts(&written, name).unwrap().unwrap(), records);
            prop_assert!(parse_texts(&written, "other.").unwrap().is_none());
        }
    }
}
