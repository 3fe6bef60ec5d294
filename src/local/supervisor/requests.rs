//! What a person asks for: from a second terminal, or in the demo's script.

use nix::sys::signal::Signal;
use pair::Side;

use super::handle::Reply;
use super::{NotDone, Request, Supervisor, What};
use crate::local::process;
use crate::local::time::now;

impl Supervisor {
    /// Does it, and says what was done or why not.
    pub(super) fn on_request(&mut self, request: Request, reply: Reply) {
        let answer = match request {
            Request::Switchover { to, limit_ms } => return self.switch_over(to, limit_ms, reply),
            Request::Force { to, word, limit_ms } => {
                return self.force(to, word, limit_ms, reply);
            }
            Request::Kill { side, restart } => self.kill(side, restart),
            Request::Stop(side) => self.stop_side(side),
            Request::Start(side) => self.start_by_hand(side),
            Request::StopPair => {
                self.stop.cancel();
                Ok("the pair is stopping: the standby first, then the active".to_owned())
            }
        };
        // Who asked may be gone.
        let _ = reply.send(answer.map_err(NotDone::Refused));
    }

    fn kill(&mut self, side: Side, restart: bool) -> Result<String, String> {
        let slot = &mut self.slots[side];
        let Some(process) = &slot.process else {
            return Err(format!("the {side} does not run"));
        };
        process.signal(Signal::SIGKILL);
        let pid = process.pid();
        slot.end_asked = true;
        slot.held_down = !restart;
        let (what, after) = if restart {
            ("killed, as asked", "it is started again shortly")
        } else {
            (
                "killed, as asked; stays down",
                "it stays down until it is started",
            )
        };
        self.emit(now(), What::Asked { side, what });
        Ok(format!("the {side} (process {pid}) was killed; {after}"))
    }

    fn stop_side(&mut self, side: Side) -> Result<String, String> {
        let slot = &mut self.slots[side];
        slot.held_down = true;
        let Some(process) = &slot.process else {
            return Err(format!("the {side} does not run"));
        };
        process.signal(Signal::SIGTERM);
        let pid = process.pid();
        slot.end_asked = true;
        let limit_ms = u64::try_from(process::STOP_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        slot.kill_at = Some(now().plus_ms(limit_ms));
        let what = "told to stop, as asked; stays down";
        self.emit(now(), What::Asked { side, what });
        Ok(format!(
            "the {side} (process {pid}) was told to stop, and stays down"
        ))
    }

    fn start_by_hand(&mut self, side: Side) -> Result<String, String> {
        if let Some(process) = &self.slots[side].process {
            let pid = process.pid();
            return Err(format!("the {side} runs already (process {pid})"));
        }
        self.slots[side].held_down = false;
        self.start(side);
        match &self.slots[side].process {
            Some(process) => Ok(format!(
                "the {side} was started (process {})",
                process.pid()
            )),
            None => Err(format!("the {side} could not be started")),
        }
    }
}
