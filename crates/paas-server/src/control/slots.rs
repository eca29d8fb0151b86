//! How many builds run on the machine at once, and who is next: in the order of asking.

use std::{collections::VecDeque, convert::Infallible};

use tokio::sync::watch;

pub(crate) struct Slots {
    count: usize,
    queue: watch::Sender<Queue>,
}

/// Those that build, and behind them those that wait.
#[derive(Debug, Default)]
struct Queue {
    tickets: VecDeque<u64>,
    next: u64,
}

/// A place in the queue, until it is dropped.
pub(super) struct Ticket<'a> {
    slots: &'a Slots,
    number: u64,
    changes: watch::Receiver<Queue>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            queue: watch::Sender::default(),
        }
    }

    /// Whether a build that asked now would begin.
    pub(super) fn has_free(&self) -> bool {
        self.queue.borrow().tickets.len() < self.count
    }

    pub(super) fn ask(&self) -> Ticket<'_> {
        let mut number = 0;
        self.queue.send_modify(|queue| {
            number = queue.next;
            queue.next += 1;
            queue.tickets.push_back(number);
        });
        Ticket {
            slots: self,
            number,
            changes: self.queue.subscribe(),
        }
    }
}

impl Ticket<'_> {
    /// How many builds have to end before this one begins; 0 when it has its turn.
    pub(super) fn ahead(&mut self) -> usize {
        let queue = self.changes.borrow_and_update();
        let place = queue.tickets.iter().position(|ticket| *ticket == self.number);
        // A ticket is in the queue for as long as it lives.
        place.map_or(0, |place| (place + 1).saturating_sub(self.slots.count))
    }

    /// Waits until `ahead` may have changed.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The queue outlives its tickets.
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.slots
            .queue
            .send_modify(|queue| queue.tickets.retain(|ticket| *ticket != self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_moves_up_as_others_end_or_give_up() {
        let slots = Slots::new(2);
        let (mut one, mut two, mut three, mut four) = (slots.ask(), slots.ask(), slots.ask(), slots.ask());
        let places = [&mut one, &mut two, &mut three, &mut four].map(Ticket::ahead);
        assert_eq!(places, [0, 0, 1, 2]);
        // One that waits gives up.
        drop(three);
        four.changed().await;
        assert_eq!(four.ahead(), 1);
        drop(two);
        four.changed().await;
        assert_eq!((one.ahead(), four.ahead(), slots.ask().ahead()), (0, 0, 1));
    }
}
