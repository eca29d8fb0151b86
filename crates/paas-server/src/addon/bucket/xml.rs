//! What S3 says, and is told: XML, version 2006-03-01.

use std::{collections::BTreeMap, fmt::Write};

use roxmltree::{Document, Node};

use super::Part;

/// What an upload is called.
pub(super) fn parse_upload(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let upload = child(document.root_element(), "UploadId")?;
    (!upload.is_empty()).then(|| upload.to_owned())
}

/// Parts, and where the list goes on.
pub(super) fn parse_parts(text: &str) -> Option<(BTreeMap<u32, Part>, Option<String>)> {
    let document = Document::parse(text).ok()?;
    let root = document.root_element();
    // S3 calls the list a result, others a response: it is one when it says of which upload.
    child(root, "UploadId")?;
    let parts = root.children().filter(|node| node.tag_name().name() == "Part");
    let part = |node| {
        let part = Part {
            etag: child(node, "ETag")?.to_owned(),
            bytes: child(node, "Size")?.trim().parse().ok()?,
        };
        Some((child(node, "PartNumber")?.trim().parse().ok()?, part))
    };
    let parts = parts.map(part).collect::<Option<_>>()?;
    let is_cut = child(root, "IsTruncated").is_some_and(|text| text.trim() == "true");
    let next = child(root, "NextPartNumberMarker").map(str::to_owned);
    Some((parts, next.filter(|_| is_cut)))
}

/// Code and message; `None` when it says nothing of the kind.
pub(super) fn parse_refusal(text: &str) -> Option<(String, String)> {
    let document = Document::parse(text).ok()?;
    let error = document.descendants().find(|node| node.tag_name().name() == "Error")?;
    let words = |name| child(error, name).unwrap_or_default().replace(char::is_control, " ");
    Some((words("Code"), words("Message")))
}

/// All parts of an object.
pub(super) fn whole(parts: &BTreeMap<u32, String>) -> String {
    let mut text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (number, etag) in parts {
        let etag = etag.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(
            text,
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        );
    }
    text + "</CompleteMultipartUpload>"
}

fn child<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    let mut children = node.children().filter(|child| child.tag_name().name() == name);
    Some(children.next()?.text().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

    #[test]
    fn what_a_bucket_says_is_read() {
        let begun = format!(
            "<InitiateMultipartUploadResult {NAMESPACE}><UploadId>a.b-c</UploadId></InitiateMultipartUploadResult>"
        );
        assert_eq!(parse_upload(&begun).as_deref(), Some("a.b-c"));
        assert_eq!(parse_upload("<Other/>"), None);
        let part = |number| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>&quot;e{number}&quot;</ETag><Size>5</Size></Part>")
        };
        let list = |cut| {
            format!(
                "<?xml version=\"1.0\"?><ListPartsResult {NAMESPACE}><UploadId>a.b-c</UploadId>{cut}{}{}</ListPartsResult>",
                part(1),
                part(2)
            )
        };
        let (parts, next) = parse_parts(&list("<IsTruncated>false</IsTruncated>")).unwrap();
        assert_eq!((parts.len(), next), (2, None));
        let second = Part {
            etag: "\"e2\"".to_owned(),
            bytes: 5,
        };
        assert_eq!(parts[&2], second);
        let cut = "<NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>";
        assert_eq!(parse_parts(&list(cut)).unwrap().1.as_deref(), Some("2"));
        assert_eq!(parse_parts("no XML"), None);
        assert_eq!(parse_parts("<Other/>"), None);
        let refusal = "<Error><Code>AccessDenied</Code><Message>Access\nDenied</Message></Error>";
        let wanted = ("AccessDenied".to_owned(), "Access Denied".to_owned());
        assert_eq!(parse_refusal(refusal), Some(wanted));
        assert_eq!(parse_refusal(&begun), None);
    }

    #[test]
    fn all_parts_are_named_in_their_order() {
        let parts = BTreeMap::from([(10, "\"b\"".to_owned()), (2, "\"a\"".to_owned())]);
        let text = whole(&parts);
        let document = Document::parse(&text).unwrap();
        let etags: Vec<_> = document
            .descendants()
            .filter(|node| node.tag_name().name() == "ETag")
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(etags, ["\"a\"", "\"b\""]);
    }
}
