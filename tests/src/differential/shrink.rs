//! Makes a sequence that shows a difference short: leaves out halves, quarters, and so on down to single steps, as long as it still shows.

use std::time::{Duration, Instant};

/// How long one difference may be worked on: what is left then is shown as it is.
const TIME_MAX: Duration = Duration::from_secs(90);

/// The shortest part of `steps`, in their order, that was found for which `shows` holds. It holds for all of them.
pub(super) fn shrink<T: Clone>(steps: &[T], mut shows: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let start = Instant::now();
    let mut left = steps.to_vec();
    let mut chunk = left.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut is_shorter = false;
        while at < left.len() {
            if start.elapsed() > TIME_MAX {
                return left;
            }
            let end = (at + chunk).min(left.len());
            let shorter = [&left[..at], &left[end..]].concat();
            if !shorter.is_empty() && shows(&shorter) {
                left = shorter;
                is_shorter = true;
            } else {
                at = end;
            }
        }
        // Single steps are tried until none can go.
        if chunk > 1 || !is_shorter {
            chunk /= 2;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_left_and_nothing_else() {
        let steps: Vec<u32> = (0..1000).collect();
        let mut runs = 0;
        let left = shrink(&steps, |steps| {
            runs += 1;
            [17, 400, 999].iter().all(|step| steps.contains(step))
        });
        assert_eq!(left, [17, 400, 999]);
        assert!(runs < 200, "{runs}");
    }
}
