// What somebody sent and the station did not take, because the session had ended or for any other reason, stands in its
// form again once they are back on its page. It stays with this tab and this person; passwords and files are never kept.

const KEPT_AS = "unsaved-form";

const person = document.body.dataset.who;
// Hidden fields say what a form is about, but for those that hold what somebody has drawn.
const isWritten = ({ name, type, dataset }) =>
  name && !["password", "file", "submit", "button", "fieldset"].includes(type) && (type !== "hidden" || "drawn" in dataset);
const writtenIn = (form) => [...form.elements].filter(isWritten);
const about = (form) => JSON.stringify([
  person,
  form.getAttribute("action"),
  ...[...form.elements].filter((field) => field.type === "hidden" && !isWritten(field)).map(({ name, value }) => [name, value]),
]);
// A form's own `method` is hidden by a field of that name.
const isPosted = (form) => form.getAttribute("method") === "post";
const isTicked = ({ type }) => type === "checkbox" || type === "radio";

// On the sign-in page nobody has a name: what is typed there is not kept.
document.addEventListener("submit", ({ target, defaultPrevented }) => {
  if (defaultPrevented || !person || !isPosted(target) || !writtenIn(target).length) return;
  const sent = writtenIn(target).map((field) => [field.name, isTicked(field) ? field.checked : field.value]);
  sessionStorage.setItem(KEPT_AS, JSON.stringify({ about: about(target), sent, isRefused: false }));
});

const refill = (form, sent) => {
  const waiting = [...sent];
  for (const field of writtenIn(form)) {
    const place = waiting.findIndex(([name]) => name === field.name);
    if (place < 0) continue;
    const [[, value]] = waiting.splice(place, 1);
    if (isTicked(field)) field.checked = value;
    else if (!field.options || [...field.options].some((option) => option.value === value)) field.value = value;
  }
};

const kept = JSON.parse(sessionStorage.getItem(KEPT_AS));
const form = kept && [...document.forms].find((one) => isPosted(one) && about(one) === kept.about);
if (kept && ("isRefused" in document.body.dataset || !person)) {
  sessionStorage.setItem(KEPT_AS, JSON.stringify({ ...kept, isRefused: true }));
  if (form) refill(form, kept.sent);
} else if (kept && !kept.isRefused) {
  sessionStorage.removeItem(KEPT_AS);
} else if (form) {
  refill(form, kept.sent);
  const told = Object.assign(document.createElement("p"), { className: "banner", textContent: document.body.dataset.notSaved });
  told.setAttribute("role", "status");
  form.prepend(told);
  for (let around = form.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  sessionStorage.removeItem(KEPT_AS);
}
