//! How far a drain is, in a file beside its app's log: gone with it, and never in the database, which may be away.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat, Utc};

/// How far a drain is in its log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The id of the last line that was delivered or passed over.
    pub(super) after: u64,
    /// How many lines were passed over that the receiver has not been told of.
    pub(super) dropped: u64,
    /// The time of the last line that was delivered.
    pub(super) delivered_at: Option<DateTime<Utc>>,
}

/// Where a place is kept.
pub(super) struct PlaceFile {
    path: PathBuf,
    saved: Option<Place>,
}

impl PlaceFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, saved: None }
    }

    /// What was saved, if it can be read.
    pub(super) fn read(&self) -> Option<Place> {
        fs::read_to_string(&self.path).ok()?.parse().ok()
    }

    /// Saves a place, in one step: a crash leaves the one before or this one.
    pub(super) fn save(&mut self, place: &Place) -> io::Result<()> {
        if self.saved.as_ref() == Some(place) {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        fs::write(&new, place.to_string())?;
        fs::rename(&new, &self.path)?;
        self.saved = Some(place.clone());
        Ok(())
    }

    pub(super) fn remove(path: &Path) {
        // It may never have been written.
        let _ = fs::remove_file(path);
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let delivered_at = self
            .delivered_at
            .map_or_else(|| "-".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        write!(f, "{} {} {delivered_at}", self.after, self.dropped)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let mut word = || words.next().ok_or(());
        Ok(Self {
            after: word()?.parse().map_err(drop)?,
            dropped: word()?.parse().map_err(drop)?,
            delivered_at: match word()? {
                "-" => None,
                at => Some(DateTime::parse_from_rfc3339(at).map_err(drop)?.with_timezone(&Utc)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("drain");
        let mut file = PlaceFile::new(path.clone());
        assert_eq!(file.read(), None);
        for delivered_at in [None, DateTime::from_timestamp_micros(1_767_323_045_000_001)] {
            let place = Place {
                after: 17,
                dropped: 3,
                delivered_at,
            };
            file.save(&place).unwrap();
            assert_eq!(file.read(), Some(place));
        }
        fs::write(&path, "17").unwrap();
        assert_eq!(file.read(), None);
    }
}
