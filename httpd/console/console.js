// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
// What makes the console better, and nothing it needs.

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
	form.addEventListener("submit", (event) => {
		if (form.dataset.sent)
			event.preventDefault();
		form.dataset.sent = "1";
	});
}
window.addEventListener("pageshow", () => {
	for (const form of document.querySelectorAll("form[data-sent]"))
		delete form.dataset.sent;
});

// On a narrow screen the pages' list is wider than it.
document.querySelector(".nav [aria-current]")?.scrollIntoView(
	{ block: "nearest", inline: "center" });

// What is under way is shown anew, without losing the place on the page.
const again = document.querySelector("[data-again]");
if (again) {
	let left = 400; // it keeps the session alive: not for ever
	const look = async () => {
		if (document.hidden)
			return;
		const answer = await fetch(location.href).catch(() => null);
		if (!answer || !answer.ok || answer.redirected)
			return;
		const page = new DOMParser().parseFromString(
			await answer.text(), "text/html");
		const fresh = page.querySelector("main");
		const now = document.querySelector("main");
		if (!fresh || now.contains(document.activeElement) &&
		    document.activeElement !== now)
			return;
		now.replaceChildren(...fresh.childNodes);
		if (!now.querySelector("[data-again]") || --left < 0)
			clearInterval(timer);
	};
	const timer = setInterval(look, Number(again.dataset.again) * 1000);
}

// The summary's numbers as they are now; another state shows the page anew.
const state = document.querySelector("[data-overall]");
if (state) {
	const numbers = new Intl.NumberFormat(
		document.documentElement.lang);
	let findings = Number(document.querySelector("[data-live=findings]")
		.textContent.replace(/\D/g, ""));
	let left = 400; // asking for them keeps the session alive: not for ever
	const list = async () => {
		const answer = await fetch("/").catch(() => null);
		if (!answer || !answer.ok || answer.redirected)
			return;
		const page = new DOMParser().parseFromString(
			await answer.text(), "text/html");
		const fresh = page.querySelector("#findings");
		if (fresh)
			document.querySelector("#findings").replaceChildren(
				...fresh.childNodes);
	};
	const live = new EventSource("/live");
	live.addEventListener("message", (event) => {
		const now = JSON.parse(event.data);
		for (const place of document.querySelectorAll("[data-live]"))
			place.textContent =
				numbers.format(now[place.dataset.live]);
		if (findings !== now.findings && --left > 0)
			setTimeout(list, 1000); // counted first, then written down
		findings = now.findings;
		if (now.overall !== state.dataset.overall ||
		    now.operational !== state.dataset.operational) {
			live.close();
			location.reload();
		}
	});
}
