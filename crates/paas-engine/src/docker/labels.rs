//! The labels that say whose an object is.

use std::collections::{BTreeMap, HashMap};

use paas_core::{App, Id};

use crate::role;

/// The labels of one platform.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    platform: String,
}

impl Labels {
    pub(super) fn new(platform: &str) -> Self {
        Self {
            platform: platform.to_owned(),
        }
    }

    /// All labels of an object: what it says itself, whose it is and for which app.
    pub(super) fn of(
        &self,
        own: impl IntoIterator<Item = (String, String)>,
        app: Option<Id<App>>,
    ) -> HashMap<String, String> {
        let mut labels: HashMap<_, _> = own.into_iter().collect();
        if let Some(app) = app {
            labels.insert(role::APP.to_owned(), app.to_string());
        }
        labels.insert(role::PLATFORM.to_owned(), self.platform.clone());
        labels
    }

    /// The filter that finds this platform's objects.
    pub(super) fn filter(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([(
            "label".to_owned(),
            vec![format!("{}={}", role::PLATFORM, self.platform)],
        )])
    }

    /// The filter that finds those of an app: all labels of a filter have to be there.
    pub(super) fn filter_of(&self, app: Id<App>) -> HashMap<String, Vec<String>> {
        let mut filter = self.filter();
        for labels in filter.values_mut() {
            labels.push(format!("{}={app}", role::APP));
        }
        filter
    }

    pub(super) fn are_ours(&self, labels: &HashMap<String, String>) -> bool {
        labels.get(role::PLATFORM) == Some(&self.platform)
    }

    /// Whether a container is ours. One that somebody started by hand from an image of ours has inherited the image's
    /// labels, but no role.
    pub(super) fn are_our_containers(&self, labels: &HashMap<String, String>) -> bool {
        self.are_ours(labels) && labels.get(role::ROLE).is_some_and(|role| !role.is_empty())
    }
}

/// The app that labels name.
pub(super) fn app(labels: &HashMap<String, String>) -> Option<Id<App>> {
    labels.get(role::APP)?.parse().ok()
}

/// Labels in a fixed order.
pub(super) fn sorted(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_our_platform_is_ours() {
        let ours = Labels::new("a");
        assert!(ours.are_ours(&ours.of([], None)));
        assert!(!ours.are_ours(&Labels::new("aa").of([], None)));
        assert!(!ours.are_ours(&HashMap::new()));
    }

    #[test]
    fn a_container_made_by_hand_from_our_image_is_not_ours() {
        let ours = Labels::new("a");
        let inherited = ours.of([(role::ROLE.to_owned(), String::new())], None);
        assert!(!ours.are_our_containers(&inherited) && !ours.are_our_containers(&ours.of([], None)));
        assert!(ours.are_our_containers(&ours.of([(role::ROLE.to_owned(), "dyno".to_owned())], None)));
    }
}
