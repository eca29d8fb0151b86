//! What a build shows by what it says.

use std::time::Duration;

use paas_engine::{Output, OutputStream};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::Courier,
    errors::{is_disk_full, is_out_of_processes},
    output::{Allowance, Console},
};

/// What a build has met, by its own words.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signs {
    pub(crate) full_disk: bool,
    pub(crate) out_of_processes: bool,
}

impl Signs {
    /// Whether the machine's limits were met: whatever went wrong then says little about the app.
    pub(crate) const fn is_trouble(self) -> bool {
        self.full_disk || self.out_of_processes
    }
}

/// How long a build may go on that can start no process: a shell that tries again may have success, a fork bomb never ends.
const BREATHLESS: Duration = Duration::from_secs(10);

/// Hands a container's output on, and tells what it shows: words to people, and standard output to the courier, if
/// there is one. Halts a build that gets no further.
pub(crate) async fn forward(
    mut pieces: mpsc::Receiver<Output>,
    console: &Console,
    mut allowance: Allowance,
    mut courier: Option<Courier>,
    halt: &CancellationToken,
) -> Signs {
    let mut signs = Signs::default();
    let breathless = tokio::time::sleep(BREATHLESS);
    tokio::pin!(breathless);
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = &mut breathless, if signs.out_of_processes && !halt.is_cancelled() => {
                halt.cancel();
                continue;
            }
        };
        let Some(piece) = piece else { break };
        if piece.stream == OutputStream::Stdout
            && let Some(courier) = &mut courier
        {
            courier.take(piece.bytes).await;
            continue;
        }
        let words = String::from_utf8_lossy(&piece.bytes);
        signs.full_disk |= is_disk_full(&words);
        if !signs.out_of_processes && is_out_of_processes(&words) {
            signs.out_of_processes = true;
            breathless.as_mut().reset(Instant::now() + BREATHLESS);
        }
        allowance.pass(piece.bytes, console).await;
    }
    if let Some(courier) = courier {
        courier.finish().await;
    }
    signs
}
