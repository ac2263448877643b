//! Standard error, which a thread of its own writes: whoever reads it may stall,
//! and calls go on. Lines that find too many waiting are lost, which is counted,
//! and told when lines are written again.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::telemetry::lost::Lost;

/// Lines that may wait: seconds of the busiest log, and at some hundred bytes
/// each a few MiB at most.
const WAITING: usize = 8192;

/// How long the end of the process waits for lines to be written: longer than
/// the library takes to see that nobody reads them.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(1200);

/// How often lost lines are told while more and more are lost.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What keeps lines being written. Dropped, it waits for those that wait, within
/// a limit.
#[derive(Debug)]
pub(super) struct Lines(Option<WorkerGuard>);

/// How many lines were lost; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct LostLines {
    /// Because too many waited.
    overrun: Arc<OnceLock<ErrorCounter>>,
    /// Because they could not be written: nobody can read them, say.
    failed: Lost,
}

impl LostLines {
    /// Since the start.
    pub(super) fn total(&self) -> u64 {
        let overrun = self.overrun.get().map_or(0, ErrorCounter::dropped_lines);
        u64::try_from(overrun)
            .unwrap_or(u64::MAX)
            .saturating_add(self.failed.total())
    }
}

/// Begins to write lines to standard error.
pub(super) fn start() -> (NonBlocking, Lines, LostLines) {
    let tell = |lost| {
        tracing::warn!(
            lost,
            "lines of the log were lost since the start: standard error did not take them in time"
        );
    };
    start_with(io::stderr(), WAITING, tell)
}

fn start_with<W, T>(out: W, waiting: usize, tell: T) -> (NonBlocking, Lines, LostLines)
where
    W: Write + Send + Sync + 'static,
    T: FnMut(u64) + Send + Sync + 'static,
{
    let lost = LostLines::default();
    let out = Telling {
        out,
        tell,
        lost: lost.clone(),
        told: 0,
        told_at: None,
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(waiting)
        .thread_name("log")
        .finish(out);
    // Set once, before the first line.
    let _ = lost.overrun.set(writer.error_counter());
    (writer, Lines(Some(guard)), lost)
}

impl Drop for Lines {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else { return };
        let (report, written) = mpsc::channel();
        // The library complains of a stalled standard error on standard output,
        // which may be stalled too.
        let ending = thread::Builder::new()
            .name("log-end".to_owned())
            .spawn(move || {
                drop(guard);
                let _ = report.send(());
            });
        if ending.is_ok() {
            // Written or not, the process ends.
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Writes lines, and has it told which were lost.
struct Telling<W, T> {
    out: W,
    /// Is given how many, since the start.
    tell: T,
    lost: LostLines,
    told: u64,
    told_at: Option<Instant>,
}

impl<W, T: FnMut(u64)> Telling<W, T> {
    /// What is told is a line too: if it is lost, there is more to tell.
    fn tell(&mut self) {
        let lost = self.lost.total();
        if lost > self.told {
            self.told = lost;
            self.told_at = Some(Instant::now());
            (self.tell)(lost);
        }
    }
}

impl<W: Write, T: FnMut(u64)> Write for Telling<W, T> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.out.write_all(line).is_err() {
            self.lost.failed.add(1);
        } else if self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.tell();
        }
        Ok(())
    }

    /// The library calls this when no line waits any more.
    fn flush(&mut self) -> io::Result<()> {
        self.tell();
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing_subscriber::fmt::MakeWriter as _;

    /// Takes a line whenever the test lets it.
    struct Stalled {
        lets: mpsc::Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            // Without a test there is nothing to wait for.
            let _ = self.lets.recv();
            let _ = self.taken.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_which_are_told_when_it_goes_on() {
        const WAITING: usize = 4;
        let (let_go, lets) = mpsc::channel();
        let (taken, lines) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let out = Mutex::new(Stalled { lets, taken });
        let (writer, ending, lost) = start_with(Shared(out), WAITING, move |lost| {
            let _ = tell.send(lost);
        });
        for _ in 0..100 {
            writer.make_writer().write_all(b"line\n").unwrap();
        }
        // One more than wait may be with the writer.
        let missing = lost.total();
        assert!((95..=96).contains(&missing), "{missing}");
        drop(let_go);
        assert_eq!(told.recv().unwrap(), missing);
        drop(ending);
        assert_eq!(
            lines.try_iter().count(),
            100 - usize::try_from(missing).unwrap()
        );
    }

    /// Only one thread writes, which the compiler cannot know.
    struct Shared<W>(Mutex<W>);

    impl<W: Write> Write for Shared<W> {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.get_mut().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_lost() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (writer, ending, lost) = start_with(Closed, 4, |_| {});
        writer.make_writer().write_all(b"line\n").unwrap();
        drop(ending);
        assert_eq!(lost.total(), 1);
    }
}
