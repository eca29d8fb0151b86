//! What the person who waits for a build reads, in the style of Heroku's build output.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Where the lines of a build go. Nobody may be listening any more: a build goes on all the same.
#[derive(Debug, Clone)]
pub(crate) struct Console(mpsc::Sender<Bytes>);

impl Console {
    pub(crate) const fn new(lines: mpsc::Sender<Bytes>) -> Self {
        Self(lines)
    }

    /// A step: `-----> Python app detected`.
    pub(crate) async fn header(&self, text: &str) {
        self.raw(Bytes::from(format!("-----> {text}\n"))).await;
    }

    /// A detail of a step, behind seven spaces.
    pub(crate) async fn detail(&self, text: &str) {
        self.raw(Bytes::from(format!("       {text}\n"))).await;
    }

    /// Trouble, each line behind ` !     `.
    pub(crate) async fn trouble(&self, text: &str) {
        let lines: String = text
            .lines()
            .map(|line| format!(" !     {line}").trim_end().to_owned() + "\n")
            .collect();
        self.raw(Bytes::from(format!("\n{lines}\n"))).await;
    }

    /// What a build tool says, as it is.
    pub(crate) async fn raw(&self, bytes: Bytes) {
        // A reader that went away is no reason to stop.
        let _ = self.0.send(bytes).await;
    }
}

/// How much of what a build tool says is still handed on. The rest is let go: the tool must not notice.
#[derive(Debug)]
pub(crate) struct Allowance {
    whole: u64,
    left: u64,
}

impl Allowance {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self {
            whole: bytes,
            left: bytes,
        }
    }

    pub(crate) async fn pass(&mut self, mut bytes: Bytes, console: &Console) {
        if self.left == 0 {
            return;
        }
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= bytes.len() as u64;
        console.raw(bytes).await;
        if self.left == 0 {
            let limit = human_bytes(self.whole);
            let words =
                format!("The build has said more than {limit}: the rest of it is left out, and the build goes on.");
            console.trouble(&words).await;
        }
    }
}

/// `31.2M`, as Heroku writes the size of a slug.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const STEP: u64 = 1024;
    let (unit, divisor) = match bytes {
        0..1_048_576 => ("K", STEP),
        1_048_576..1_073_741_824 => ("M", STEP * STEP),
        _ => ("G", STEP * STEP * STEP),
    };
    let tenths = bytes * 10 / divisor;
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_on_heroku() {
        let sizes = [0, 1536, 32_715_571, 5 * 1024 * 1024 * 1024].map(human_bytes);
        assert_eq!(sizes, ["0.0K", "1.5K", "31.1M", "5.0G"]);
    }

    #[tokio::test]
    async fn a_reader_that_went_away_stops_nothing() {
        let (lines, reader) = mpsc::channel(1);
        drop(reader);
        Console::new(lines).header("still here").await;
    }
}
