//! Which processors builds may use.

/// The processors of builds: so many, or all but one, which is then always free for what runs. `None`: all, because there is
/// only one, or because they are not one behind the other.
///
/// A weight decides who gets more of a processor, and not how soon: whoever wakes up beside a build waits for the end of its turn.
pub fn cpus(wanted: Option<u16>) -> Option<(u16, u16)> {
    let usable = rustix::thread::sched_getaffinity(None).ok()?;
    let usable: Vec<_> = (0..1024_u16).filter(|cpu| usable.is_set((*cpu).into())).collect();
    last_of(&usable, wanted)
}

/// The last ones: the first has most of the interrupts, which are somebody's requests.
fn last_of(usable: &[u16], wanted: Option<u16>) -> Option<(u16, u16)> {
    let count = wanted.map_or(usable.len().saturating_sub(1), |wanted| usize::from(wanted.max(1)));
    let chosen = &usable[usable.len().checked_sub(count)?..];
    let (first, last) = (*chosen.first()?, *chosen.last()?);
    let is_whole = usize::from(last - first) + 1 == chosen.len();
    (is_whole && count < usable.len()).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_processor_is_left_to_what_runs() {
        assert_eq!(last_of(&[0, 1], None), Some((1, 1)));
        assert_eq!(last_of(&[0, 1, 2, 3], None), Some((1, 3)));
        assert_eq!(last_of(&[4, 5, 6], Some(2)), Some((5, 6)));
        assert_eq!(last_of(&[0, 1], Some(0)), Some((1, 1)));
    }

    #[test]
    fn builds_use_all_where_none_can_be_left() {
        assert_eq!(last_of(&[0], None), None);
        assert_eq!(last_of(&[0, 1], Some(2)), None);
        assert_eq!(last_of(&[0, 1], Some(64)), None);
        // With gaps between them, they would have to be named one by one.
        assert_eq!(last_of(&[0, 2, 4], None), None);
    }
}
