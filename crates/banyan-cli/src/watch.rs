//! `--watch`: keeps asking the engine, and shows each change until Ctrl-C.
//!
//! One thread asks the engine and one waits for Ctrl-C. Both report to the main thread, the only one that writes. So
//! Ctrl-C ends the program at once, even while an engine does not answer.

mod screen;
mod stream;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Output, WatchArgs};
use crate::clock;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::{Exit, Failure};
use crate::ui::Layout;
use screen::Screen;
use stream::Stream;

/// The longest pause between two attempts to reach an engine that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An event while watching.
enum Event<T> {
    /// The engine was asked; `pause` is until it is asked again.
    Asked {
        answer: Result<T, Failure>,
        pause: Duration,
    },
    /// Ctrl-C.
    Interrupted,
}

/// Shows an answer once, or with `--watch` whenever it changes.
pub(crate) fn run<T: Serialize + Send + 'static>(
    args: &WatchArgs,
    output: Output,
    context: &Context,
    ask: impl Fn(&Engine) -> Result<T, Failure> + Send + 'static,
    text: impl Fn(&T, Layout) -> String,
) -> Result<Exit, Failure> {
    run_as(args, output, false, context, ask, text)
}

/// As [`run`], for a command with tables.
pub(crate) fn run_as<T: Serialize + Send + 'static>(
    args: &WatchArgs,
    output: Output,
    wide: bool,
    context: &Context,
    ask: impl Fn(&Engine) -> Result<T, Failure> + Send + 'static,
    text: impl Fn(&T, Layout) -> String,
) -> Result<Exit, Failure> {
    let ui = context.ui;
    let Some(interval) = args.watch else {
        let value = ask(&context.engine()?)?;
        let layout = ui.layout(wide, context.now);
        ui.show(output, &value, |_| text(&value, layout))?;
        return Ok(Exit::Done);
    };
    let text = |value: &T, now: Timestamp| text(value, ui.layout(wide, now));
    let events = start(interval, context.clone(), ask)?;
    match output == Output::Table && ui.can_redraw() {
        true => follow(&events, &mut Screen::new(ui, text)),
        false => follow(&events, &mut Stream::new(ui, output, text)),
    }
}

/// Shows what is watched.
trait Sink<T> {
    /// Shows an answer; `false` if nothing reads the output any more.
    fn answer(&mut self, value: T, now: Timestamp) -> Result<bool, Failure>;

    /// Reports that there is no answer; `false` if nothing reads the output any more.
    fn silence(&mut self, why: &Failure, pause: Duration, now: Timestamp) -> Result<bool, Failure>;

    /// Leaves the output in order.
    fn end(&mut self) -> Result<(), Failure>;
}

fn follow<T>(events: &Receiver<Event<T>>, sink: &mut impl Sink<T>) -> Result<Exit, Failure> {
    let mut answered = false;
    for event in events {
        let now = clock::now();
        let read = match event {
            Event::Interrupted => break,
            Event::Asked {
                answer: Ok(value), ..
            } => {
                answered = true;
                sink.answer(value, now)?
            }
            // An engine that never answered is more likely misnamed than restarting.
            Event::Asked {
                answer: Err(why), ..
            } if !answered || is_final(&why) => return Err(why),
            Event::Asked {
                answer: Err(why),
                pause,
            } => sink.silence(&why, pause, now)?,
        };
        if !read {
            return Ok(Exit::Done);
        }
    }
    sink.end()?;
    Ok(Exit::Done)
}

/// Whether another attempt is pointless.
fn is_final(why: &Failure) -> bool {
    !matches!(why.exit(), Exit::OutOfReach | Exit::Refused)
}

/// Starts the two threads.
fn start<T: Send + 'static>(
    interval: Duration,
    context: Context,
    ask: impl Fn(&Engine) -> Result<T, Failure> + Send + 'static,
) -> Result<Receiver<Event<T>>, Failure> {
    let (sender, events) = channel();
    interrupts(sender.clone())?;
    thread::spawn(move || keep_asking(interval, &context, ask, &sender));
    Ok(events)
}

/// Reports Ctrl-C instead of ending the program.
fn interrupts<T: Send + 'static>(events: Sender<Event<T>>) -> Result<(), Failure> {
    let cannot = |error| Failure::refused("cannot wait for Ctrl-C").because(&error);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(cannot)?;
    let mut interrupt = {
        let _within = runtime.enter();
        signal(SignalKind::interrupt()).map_err(cannot)?
    };
    thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        // The other side is gone only when the program ends.
        let _ = events.send(Event::Interrupted);
    });
    Ok(())
}

fn keep_asking<T>(
    interval: Duration,
    context: &Context,
    ask: impl Fn(&Engine) -> Result<T, Failure>,
    events: &Sender<Event<T>>,
) {
    let mut engine: Option<Engine> = None;
    let mut pause = None;
    loop {
        let connected = match engine.take() {
            Some(engine) => Ok(engine),
            None => context.engine(),
        };
        let answer = connected.and_then(|connected| {
            let value = ask(&connected)?;
            engine = Some(connected);
            Ok(value)
        });
        pause = match answer {
            Ok(_) => None,
            Err(_) => Some(next_pause(pause, interval)),
        };
        let pause = pause.unwrap_or(interval);
        if events.send(Event::Asked { answer, pause }).is_err() {
            return;
        }
        thread::sleep(pause);
    }
}

/// The pause after another failure: the interval first, then twice the last one.
fn next_pause(last: Option<Duration>, interval: Duration) -> Duration {
    match last {
        None => interval,
        Some(last) => (last * 2).min(LONGEST_PAUSE.max(interval)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_never_shorter_than_the_interval() {
        let pauses = |interval: u64| {
            let mut pause = None;
            let interval = Duration::from_secs(interval);
            let mut next = || {
                pause = Some(next_pause(pause, interval));
                pause.unwrap().as_secs()
            };
            [next(), next(), next(), next(), next(), next()]
        };
        assert_eq!(pauses(2), [2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses(60), [60, 60, 60, 60, 60, 60]);
    }
}
