import { postJobPhase } from '../common/adapters/wiring/postJobPhase';

// The code is loaded only if there is something to resume.
postJobPhase((left) => void import('./resume').then(({ runResume }) => { runResume(left); })); // prettier-ignore
