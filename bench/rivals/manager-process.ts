// A Manager in a process of its own, as Python's is, for the scenario `state`: says where it is and its key, and ends with its parent.

import { Manager } from '#naru/open-state';

const manager = await Manager.start({ listen: `unix://${process.argv[2]}` });
process.send?.({ url: manager.url, key: manager.key });
process.on('disconnect', () => void manager.stop());
