//! Interaction with a user at a terminal: prompts with and without echo, secrets from pipes, tables, colour, times, and text
//! that cannot harm the screen.
//!
//! Shared by all programs with a user interface. It knows nothing of engines, the wire and async, reads no clock, and
//! writes only what a [`Prompt`] asks.

mod input;
mod paint;
mod prompt;
mod size;
mod table;
mod text;
mod time;

pub use input::{InputError, MAX_LINE, secret_lines, secret_value};
pub use paint::{Paint, environment_allows_color};
pub use prompt::{Prompt, PromptError};
pub use size::{Size, size_of_stdout};
pub use table::{Fit, Table};
pub use text::{bytes, harmless};
pub use time::{absolute, ago, moment, past_moment, relative};
