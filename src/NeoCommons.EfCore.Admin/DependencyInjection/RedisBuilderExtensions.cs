using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore.Admin;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers Redis.</summary>
public static class RedisBuilderExtensions
{
    /// <summary>Shares what processes know of connections and tenants through Redis, so that a new one need not ask for it.</summary>
    /// <param name="builder">The builder; after <c>UseAdminDatabase()</c> or before.</param>
    /// <param name="configure">Changes what the configuration says.</param>
    /// <remarks>
    /// Reads <c>REDIS_URL</c> and section <c>NeoCommons:Redis</c>; where neither names an address, nothing is shared. Values
    /// are encrypted under keys that are derived from <c>DB_ENCRYPTION_KEY</c>. Redis may be away, slow or emptied at any time.
    /// </remarks>
    public static NeoCommonsBuilder UseRedis(
        this NeoCommonsBuilder builder,
        Action<RegistryCacheOptions>? configure = null
    )
    {
        ArgumentNullException.ThrowIfNull(builder);
        var configuration = builder.Configuration;
        builder
            .Services.AddOptions<RegistryCacheOptions>()
            .Bind(configuration.GetSection("NeoCommons:Redis"))
            .Configure(options =>
            {
                options.ConnectionString ??= configuration[RedisAddress.Variable];
                configure?.Invoke(options);
                options.ConnectionString = string.IsNullOrWhiteSpace(options.ConnectionString)
                    ? null
                    : options.ConnectionString.Trim();
            })
            .ValidateOnStart();
        builder.Services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<RegistryCacheOptions>, RegistryCacheOptionsValidation>()
        );
        return builder;
    }
}
