//! Whether a symbolic link stays inside of the source.
//!
//! Looking at its text is not enough: where `deep/up` is a link to `..`, the harmless `deep/up/..` is the parent of the
//! root. So links are followed step by step as the kernel would, through the other links of the tree.

use std::collections::{BTreeMap, VecDeque};

use super::{SourceError, printable};

/// Where Linux gives up (`MAXSYMLINKS`): a link that is deeper leads nowhere, and so not out.
const MAXIMUM_HOPS: usize = 40;

/// All steps of all links together: a tree must not be able to keep us busy.
const MAXIMUM_STEPS: usize = 2_000_000;

/// `links` are paths in the tree and what they point at.
pub(super) fn check(links: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), SourceError> {
    let mut steps = 0;
    for (path, target) in links {
        if leads_out(links, path, &mut steps)? {
            return Err(SourceError::LinkLeadsOut {
                path: printable(path),
                target: printable(target),
            });
        }
    }
    Ok(())
}

fn leads_out(links: &BTreeMap<Vec<u8>, Vec<u8>>, path: &[u8], steps: &mut usize) -> Result<bool, SourceError> {
    let mut ahead: VecDeque<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let mut place: Vec<u8> = Vec::new();
    let mut hops = 0;
    while let Some(part) = ahead.pop_front() {
        *steps += 1;
        if *steps > MAXIMUM_STEPS {
            return Err(SourceError::TangledLinks);
        }
        match part {
            b"" | b"." => {}
            b".." => {
                if place.is_empty() {
                    return Ok(true);
                }
                let parent = place.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                place.truncate(parent);
            }
            name => {
                let parent_bytes = place.len();
                if parent_bytes > 0 {
                    place.push(b'/');
                }
                place.extend_from_slice(name);
                if let Some(target) = links.get(&place) {
                    if target.starts_with(b"/") {
                        return Ok(true);
                    }
                    hops += 1;
                    if hops > MAXIMUM_HOPS {
                        return Ok(false);
                    }
                    place.truncate(parent_bytes);
                    for part in target.rsplit(|byte| *byte == b'/') {
                        *steps += 1;
                        ahead.push_front(part);
                    }
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_links(links: &[(&str, &str)]) -> Result<(), SourceError> {
        let links = links
            .iter()
            .map(|(path, target)| (path.as_bytes().to_vec(), target.as_bytes().to_vec()))
            .collect();
        check(&links)
    }

    #[test]
    fn links_inside_of_the_source_are_fine() {
        check_links(&[
            ("current", "releases/v1"),
            ("a/b/c", "../../README"),
            ("dangling", "nowhere/at/all"),
            ("loop", "loop"),
            ("one", "two"),
            ("two", "one"),
            ("here", "./"),
            ("deep/up", ".."),
        ])
        .unwrap();
    }

    #[test]
    fn links_that_lead_out_are_refused_however_they_do_it() {
        for links in [
            &[("passwd", "/etc/passwd")][..],
            &[("up", "..")],
            &[("a/b", "../../x")],
            &[("a/b", "c/../../../x")],
            &[("deep/up", ".."), ("out", "deep/up/../x")],
            &[("x", "y/z"), ("y/z", "../../w")],
        ] {
            assert!(
                matches!(check_links(links), Err(SourceError::LinkLeadsOut { .. })),
                "{links:?}"
            );
        }
    }

    #[test]
    fn links_that_multiply_do_not_keep_us_busy() {
        let many = format!("{}x", "a/../".repeat(800));
        let links: Vec<_> = (0..4000)
            .map(|number| (format!("l{number}"), format!("l{}/{many}", number + 1)))
            .collect();
        let links: Vec<_> = links
            .iter()
            .map(|(path, target)| (path.as_str(), target.as_str()))
            .collect();
        assert!(matches!(check_links(&links), Err(SourceError::TangledLinks)));
    }
}
