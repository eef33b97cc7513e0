//! What the two watches have in common: a screen that is drawn anew, or a line of JSON, again and again.

pub(crate) mod columns;

use std::{future::Future, io::IsTerminal, process::ExitCode, time::Duration};

use coord_core::clock::{Clock, Instant, SystemClock};
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Global, WatchOptions},
    failure::Failure,
    output,
};

/// Something to watch.
pub(crate) trait Screen {
    /// Reads the server again.
    fn refresh(&mut self) -> impl Future<Output = Result<(), Failure>>;

    /// What was read last.
    fn json(&self) -> Value;

    /// Draws what was read last.
    fn draw(&mut self, frame: &mut Frame<'_>, area: Rect);

    /// A key that is not one of everybody's.
    fn press(&mut self, key: KeyCode);

    /// The keys of its own, with what they do.
    fn keys(&self) -> &'static [(&'static str, &'static str)];
}

/// Watches until the time is over, `q` is pressed or a signal comes.
pub(crate) async fn run(
    global: &Global,
    options: &WatchOptions,
    screen: &mut impl Screen,
) -> Result<ExitCode, Failure> {
    let ends_at = options.lasting.map(|lasting| SystemClock.now() + lasting);
    if global.json {
        return lines(options.interval, ends_at, screen).await;
    }
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "watch needs a terminal; give --json for a line each time".to_owned(),
        ));
    }
    screen.refresh().await?;
    let mut terminal = ratatui::try_init()?;
    let outcome = turn(&mut terminal, options.interval, ends_at, screen).await;
    ratatui::restore();
    outcome?;
    Ok(ExitCode::SUCCESS)
}

async fn lines(
    interval: Duration,
    ends_at: Option<Instant>,
    screen: &mut impl Screen,
) -> Result<ExitCode, Failure> {
    loop {
        screen.refresh().await?;
        output::json(&screen.json())?;
        if ends_at.is_some_and(|end| end <= SystemClock.now() + interval) {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(interval).await;
    }
}

async fn turn(
    terminal: &mut DefaultTerminal,
    interval: Duration,
    ends_at: Option<Instant>,
    screen: &mut impl Screen,
) -> Result<(), Failure> {
    // Whoever is ended by them leaves a terminal behind that shows nothing that is typed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut due = SystemClock.now() + interval;
    let mut trouble: Option<String> = None;
    loop {
        terminal.draw(|frame| draw(frame, screen, trouble.as_deref()))?;
        loop {
            if ends_at.is_some_and(|end| end <= SystemClock.now()) {
                return Ok(());
            }
            if event::poll(Duration::ZERO)? {
                match event::read()? {
                    Event::Key(key) if ends(key) => return Ok(()),
                    Event::Key(key) if key.kind == KeyEventKind::Press => screen.press(key.code),
                    _ => {}
                }
                break;
            }
            if due <= SystemClock.now() {
                // A server that is away for a while is watched, too.
                trouble = screen
                    .refresh()
                    .await
                    .err()
                    .and_then(|error| error.message().map(str::to_owned));
                due = SystemClock.now() + interval;
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(KEY_PAUSE) => {}
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    }
}

/// The screen above, the keys or what is wrong in the last line.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &mut impl Screen, trouble: Option<&str>) {
    let parts = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]);
    let [body, footer] = parts.areas(frame.area());
    screen.draw(frame, body);
    let line = match trouble {
        Some(trouble) => Line::styled(output::plain(trouble), Style::new().fg(Color::Red)),
        None => {
            // First, so that it is there on a narrow screen.
            let keys = [("q", "quit")];
            let spans = keys.iter().chain(screen.keys()).flat_map(|&(key, what)| {
                let key = Span::styled(
                    format!(" {key} "),
                    Style::new().add_modifier(Modifier::REVERSED),
                );
                [key, Span::raw(format!(" {what}  "))]
            });
            Line::from_iter(spans)
        }
    };
    frame.render_widget(line, footer);
}

fn ends(key: KeyEvent) -> bool {
    let interrupted =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

/// How long a key waits at most.
const KEY_PAUSE: Duration = Duration::from_millis(40);

#[cfg(test)]
pub(crate) mod testing {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    /// The rows of a screen of this size.
    pub(crate) fn rows(screen: &mut impl Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it has no IO");
        terminal
            .draw(|frame| draw(frame, screen, None))
            .expect("it has no IO");
        let buffer = terminal.backend().buffer().clone();
        let row = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn q_escape_and_interrupts_end_a_watch() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        assert!(ends(key(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert!(ends(key(KeyCode::Esc, KeyModifiers::NONE)));
        assert!(ends(key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!ends(key(KeyCode::Char('c'), KeyModifiers::NONE)));
    }
}
