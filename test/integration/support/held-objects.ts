import { canOpen, type OpenObject } from '../../../src/storage/driver-abilities.js';
import type { StorageDriver } from '../../../src/storage/storage-driver.js';
import { overriding } from '../../property/interposed.js';

/** Counts the objects that a driver has open. */
export class HeldObjects {
  now = 0;

  constructor(driver: StorageDriver) {
    if (!canOpen(driver)) throw new Error('the driver opens no objects');
    const openObject = driver.openObject.bind(driver);
    Object.assign(driver, {
      openObject: async (...call: Parameters<typeof openObject>): Promise<OpenObject> => {
        const object = await openObject(...call);
        this.now += 1;
        return overriding(object, {
          close: async () => {
            await object.close();
            this.now -= 1;
          },
        });
      },
    });
  }
}
