using Microsoft.Extensions.DependencyInjection.Extensions;
using NeoCommons.EfCore.Admin;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers where the keys of stored passwords come from.</summary>
public static class EncryptionKeysBuilderExtensions
{
    /// <summary>Takes the keys from this source, a key management service for instance, instead of the configuration.</summary>
    /// <typeparam name="TSource">The source; a singleton.</typeparam>
    /// <param name="builder">The builder.</param>
    public static NeoCommonsBuilder UseEncryptionKeys<TSource>(this NeoCommonsBuilder builder)
        where TSource : class, IEncryptionKeySource
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.Replace(ServiceDescriptor.Singleton<IEncryptionKeySource, TSource>());
        builder.Services.PostConfigure<AdminDatabaseOptions>(options => options.KeysAreElsewhere = true);
        return builder;
    }
}
