/** How Berth authenticates to Azure. */
export type AzureAccess =
  'account key' | 'connection string' | 'shared access signature' | 'default credential';

/** Where the blobs are and how Berth authenticates, for error messages. Has no credential in it. */
export interface AzurePlace {
  /** URL of the blob service, without a query. */
  readonly endpoint: string;
  readonly container: string;
  readonly access: AzureAccess;
}

/** The settings to check when Azure refuses Berth. */
export function accessSettings({ access }: AzurePlace): string {
  switch (access) {
    case 'account key':
      return 'STORAGE_AZURE_ACCOUNT_NAME and STORAGE_AZURE_ACCOUNT_KEY';
    case 'connection string':
    case 'shared access signature':
      return 'STORAGE_AZURE_CONNECTION_STRING';
    case 'default credential':
      return 'STORAGE_AZURE_ACCOUNT_NAME and the identity that Berth runs as';
  }
}

/** The settings that name the endpoint. */
export function endpointSettings({ access }: AzurePlace): string {
  const isString = access === 'connection string' || access === 'shared access signature';
  return (
    `${isString ? 'STORAGE_AZURE_CONNECTION_STRING' : 'STORAGE_AZURE_ACCOUNT_NAME'} and ` +
    'STORAGE_AZURE_ENDPOINT'
  );
}
