//! Which processors builds may use.

/// The processors of builds, when they are not to use all; `None`: all, also where there are no more, or where they are not one
/// behind the other.
///
/// Not what keeps a neighbour quick: beside a build that is held on one of two processors, an app's slowest requests took ten times
/// as long as beside one that the scheduler may move (docs/performance.md).
pub fn cpus(wanted: Option<u16>) -> Option<(u16, u16)> {
    let usable = rustix::thread::sched_getaffinity(None).ok()?;
    let usable: Vec<_> = (0..1024_u16).filter(|cpu| usable.is_set((*cpu).into())).collect();
    last_of(&usable, wanted?)
}

/// The last ones: the first has most of the interrupts, which are somebody's requests.
fn last_of(usable: &[u16], wanted: u16) -> Option<(u16, u16)> {
    let count = usize::from(wanted.max(1));
    let chosen = &usable[usable.len().checked_sub(count)?..];
    let (first, last) = (*chosen.first()?, *chosen.last()?);
    let is_whole = usize::from(last - first) + 1 == chosen.len();
    (is_whole && count < usable.len()).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_keep_to_the_last_processors() {
        assert_eq!(last_of(&[0, 1], 1), Some((1, 1)));
        assert_eq!(last_of(&[0, 1, 2, 3], 3), Some((1, 3)));
        assert_eq!(last_of(&[4, 5, 6], 2), Some((5, 6)));
        assert_eq!(last_of(&[0, 1], 0), Some((1, 1)));
    }

    #[test]
    fn builds_use_all_where_none_can_be_left() {
        assert_eq!(last_of(&[0], 1), None);
        assert_eq!(last_of(&[0, 1], 2), None);
        assert_eq!(last_of(&[0, 1], 64), None);
        // With gaps between them, they would have to be named one by one.
        assert_eq!(last_of(&[0, 2, 4], 2), None);
    }
}
