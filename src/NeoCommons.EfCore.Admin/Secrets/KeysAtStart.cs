using Microsoft.Extensions.Hosting;

namespace NeoCommons.EfCore.Admin;

/// <summary>Stops the start where there are no keys, instead of every connection later.</summary>
internal sealed class KeysAtStart(ISecretProtector protector) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (protector is FernetSecretProtector fernet)
        {
            await fernet.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
