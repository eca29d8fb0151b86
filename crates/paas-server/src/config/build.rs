//! How builds are bounded, and what is kept of them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use paas_core::ImageRef;

/// From megabytes. With less no container starts.
pub(super) fn build_memory(megabytes: Option<u64>) -> Result<Option<u64>> {
    match megabytes {
        Some(megabytes @ (0..64 | 16_777_216..)) => {
            bail!("--build-memory {megabytes}: give megabytes, at least 64, such as 2048")
        }
        given => Ok(given.map(|megabytes| megabytes * 1024 * 1024)),
    }
}

/// A release that was replaced this soon is nobody's to go back to.
const KEEP_IMAGES_AFTER: Duration = Duration::from_mins(10);

pub(super) fn keep_images_after(given: Option<&str>) -> Result<Option<Duration>> {
    match given {
        None => Ok(Some(KEEP_IMAGES_AFTER)),
        Some("none") => Ok(None),
        Some(seconds) => {
            let seconds = seconds
                .parse()
                .with_context(|| format!("--keep-images-after {seconds}: give seconds, such as 600, or none"))?;
            Ok(Some(Duration::from_secs(seconds)))
        }
    }
}

/// A name as Docker writes them. An empty one takes back what the file says.
pub(super) fn cnb_builder(given: Option<String>) -> Result<Option<ImageRef>> {
    let Some(name) = given.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    if !name.bytes().all(is_plain) || !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        bail!("--cnb-builder {name}: give the name of an image, such as heroku/builder:24");
    }
    Ok(Some(ImageRef::new(name)))
}
