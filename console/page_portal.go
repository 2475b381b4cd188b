package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
)

// portalContent asks for the proof of a link.
type portalContent struct {
	Mail  bool // the proof is the address of the recipient
	Error string
}

// portalViewer returns who comes by a session that a portal link began. What the link lets
// them do is looked up each time, so that to revoke it counts at once.
func (h *Handler) portalViewer(r *http.Request, s session) (Viewer, error) {
	visit, err := h.API.Engine.PortalSession(r.Context(), s.Portal)
	if errors.Is(err, provision.ErrNotFound) {
		return Viewer{}, errNoSession
	}
	if err != nil {
		return Viewer{}, problem(err)
	}
	return Viewer{Actor: visit.Actor(), Role: RoleCustomer, Connection: visit.Connection, Operations: visit.Link.Operations}, nil
}

// endPortal ends a session that a portal link began, wherever its cookie is.
func (h *Handler) endPortal(r *http.Request, s session) error {
	visit, err := h.API.Engine.PortalSession(r.Context(), s.Portal)
	if err == nil {
		err = h.API.Engine.Directory(visit.Connection).As(visit.Actor()).RevokePortalLink(r.Context(), visit.Link.ID)
	}
	if errors.Is(err, provision.ErrNotFound) {
		return nil // it is over
	}
	if err != nil {
		return problem(err)
	}
	return nil
}

// showLink shows the form of a link, and uses nothing up: mail scanners look at links.
func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) {
	visit, err := h.API.Engine.PortalLink(r.Context(), r.PathValue("code"))
	if errors.Is(err, provision.ErrNotFound) {
		if _, _, known := h.visitor(w, r); known == nil { // the holder opens it once more
			http.Redirect(w, r, h.prefix()+"/", http.StatusSeeOther)
			return
		}
	}
	if err != nil {
		h.refuseLink(w, r, err)
		return
	}
	h.askProof(w, http.StatusOK, visit.Link, "")
}

func (h *Handler) askProof(w http.ResponseWriter, status int, link provision.PortalLink, text string) {
	h.write(w, status, "portal", &view{Title: h.say("portal"), Content: &portalContent{Mail: link.Recipient != "", Error: text}})
}

// redeem uses a link up, for whoever knows the proof. Its form needs no token: a stranger who
// makes a browser send it must know both.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<14)
	code := r.PathValue("code")
	if strings.TrimSpace(r.PostFormValue("proof")) == "" { // a mail scanner submits forms as they are
		h.showLink(w, r)
		return
	}
	secret, _, err := h.API.Engine.RedeemPortalLink(r.Context(), code, r.PostFormValue("proof"))
	var wrong *provision.ProofError
	if errors.As(err, &wrong) && wrong.Left > 0 {
		link, err := h.API.Engine.PortalLink(r.Context(), code)
		if err != nil {
			h.refuseLink(w, r, err)
			return
		}
		h.askProof(w, http.StatusForbidden, link.Link, h.say("portal.wrong", wrong.Left))
		return
	}
	if err != nil {
		h.refuseLink(w, r, err)
		return
	}
	if _, err := h.begin(w, session{Portal: secret}); err != nil {
		h.showProblem(w, r, nil, err)
		return
	}
	http.Redirect(w, r, h.prefix()+"/", http.StatusSeeOther)
}

// refuseLink says that a link is over, whatever the cause.
func (h *Handler) refuseLink(w http.ResponseWriter, r *http.Request, err error) {
	var wrong *provision.ProofError
	if errors.Is(err, provision.ErrNotFound) || errors.As(err, &wrong) {
		err = &pageError{http.StatusNotFound, "portal.over", h.say("portal.overText")}
	} else {
		err = problem(err)
	}
	h.showProblem(w, r, nil, err)
}
